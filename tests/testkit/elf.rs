//! Small programs, made byte by byte.

/// Address that a program is loaded at.
const BASE: u64 = 0x40_0000;

/// Bytes of the headers: one of the file, three of segments at most.
const HEADERS: usize = 64 + 3 * 56;

/// A 64-bit little-endian executable that does nothing but exit with a code.
pub(crate) struct Elf {
    machine: u16,
    loader: Option<String>,
    library: Option<String>,
    code: Vec<u8>,
}

impl Elf {
    /// A static program for this machine that exits with `code`.
    pub(crate) fn exiting_with(code: u8) -> Self {
        let (machine, code) = match std::env::consts::ARCH {
            // mov $code,%edi; mov $60 (exit),%eax; syscall
            "x86_64" => (62, vec![0xbf, code, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]),
            // mov x0,#code; mov x8,#93 (exit); svc #0
            "aarch64" => {
                let set_code = 0xd280_0000_u32 | (u32::from(code) << 5);
                let words = [set_code, 0xd280_0ba8, 0xd400_0001];
                (183, words.into_iter().flat_map(u32::to_le_bytes).collect())
            }
            other => panic!("no program is known for {other}"),
        };
        Self { machine, loader: None, library: None, code }
    }

    /// For a machine that this is not.
    pub(crate) fn for_another_machine(mut self) -> Self {
        self.machine = if self.machine == 62 { 183 } else { 62 };
        self
    }

    /// With a dynamic loader.
    pub(crate) fn loaded_by(mut self, loader: &str) -> Self {
        self.loader = Some(loader.to_owned());
        self
    }

    /// With the loader of this machine, and a library for it to find.
    pub(crate) fn needing(mut self, library: &str) -> Self {
        self.library = Some(library.to_owned());
        let x86_64 = self.machine == 62;
        self.loaded_by(if x86_64 {
            "/lib64/ld-linux-x86-64.so.2"
        } else {
            "/lib/ld-linux-aarch64.so.1"
        })
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut body = Body(vec![0; HEADERS]);
        let entry = body.add(&self.code);
        let mut segments = Vec::new();
        if let Some(loader) = &self.loader {
            segments.push((PT_INTERP, body.add(&terminated(loader)), loader.len() as u64 + 1));
        }
        if let Some(library) = &self.library {
            let dynamic = dynamic_section(&mut body, library);
            segments.push((PT_DYNAMIC, body.add(&dynamic), dynamic.len() as u64));
        }
        let mut file = body.0;
        segments.push((PT_LOAD, 0, file.len() as u64));
        let headers = self.headers(entry, &segments);
        file[..headers.len()].copy_from_slice(&headers);
        file
    }

    fn headers(&self, entry: u64, segments: &[(u32, u64, u64)]) -> Vec<u8> {
        let mut headers = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        headers.extend(2_u16.to_le_bytes()); // ET_EXEC
        headers.extend(self.machine.to_le_bytes());
        headers.extend(1_u32.to_le_bytes());
        headers.extend((BASE + entry).to_le_bytes());
        headers.extend([64_u64, 0].into_iter().flat_map(u64::to_le_bytes));
        headers.extend(0_u32.to_le_bytes());
        let count = u16::try_from(segments.len()).unwrap();
        headers.extend([64, 56, count, 0, 0, 0].into_iter().flat_map(u16::to_le_bytes));
        for (kind, offset, size) in segments {
            headers.extend(kind.to_le_bytes());
            headers.extend(7_u32.to_le_bytes());
            let place = BASE + offset;
            let alignment = if *kind == PT_LOAD { 0x1_0000 } else { 8 };
            let words = [*offset, place, place, *size, *size, alignment];
            headers.extend(words.into_iter().flat_map(u64::to_le_bytes));
        }
        headers
    }
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;

/// DT_NEEDED, and what the loader looks at before it looks for a library.
fn dynamic_section(body: &mut Body, library: &str) -> Vec<u8> {
    let names = [b"\0", terminated(library).as_slice()].concat();
    let strings = BASE + body.add(&names);
    let symbols = BASE + body.add(&[0; 24]);
    let entries =
        [(1, 1), (5, strings), (10, names.len() as u64), (6, symbols), (11, 24_u64), (0, 0)];
    entries
        .into_iter()
        .flat_map(|(tag, value): (u64, u64)| [tag, value])
        .flat_map(u64::to_le_bytes)
        .collect()
}

fn terminated(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

struct Body(Vec<u8>);

impl Body {
    /// Adds bytes at the next multiple of eight; answers where.
    fn add(&mut self, bytes: &[u8]) -> u64 {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        let offset = self.0.len() as u64;
        self.0.extend_from_slice(bytes);
        offset
    }
}
