//! Environment markers of PEP 508 (`python_version < "3.9" and …`) in a normal form.
//! Spacing, quotes, needless parentheses, the order of operands and repetitions don't
//! matter. Other logically equivalent markers stay different, because finding them takes
//! exponential time.

use std::collections::BTreeSet;

use crate::domain::sanitize::is_invisible;

/// Deepest nesting of parentheses.
const MAX_DEPTH: usize = 32;

/// Variables and their modern names (PEP 508, PEP 345 for the dotted ones, PEP 751 for the
/// sets).
const VARIABLES: [(&str, &str); 20] = [
    ("python_version", "python_version"),
    ("python_full_version", "python_full_version"),
    ("os_name", "os_name"),
    ("os.name", "os_name"),
    ("sys_platform", "sys_platform"),
    ("sys.platform", "sys_platform"),
    ("platform_release", "platform_release"),
    ("platform_system", "platform_system"),
    ("platform_version", "platform_version"),
    ("platform.version", "platform_version"),
    ("platform_machine", "platform_machine"),
    ("platform.machine", "platform_machine"),
    ("platform_python_implementation", "platform_python_implementation"),
    ("platform.python_implementation", "platform_python_implementation"),
    ("python_implementation", "platform_python_implementation"),
    ("implementation_name", "implementation_name"),
    ("implementation_version", "implementation_version"),
    ("extra", "extra"),
    ("extras", "extras"),
    ("dependency_groups", "dependency_groups"),
];

/// Comparisons that can be mirrored, and their mirror images.
const MIRRORED: [(&str, &str); 7] = [
    ("===", "==="),
    ("==", "=="),
    ("!=", "!="),
    ("<=", ">="),
    (">=", "<="),
    ("<", ">"),
    (">", "<"),
];

/// Marker as a tree, without needless levels.
enum Marker {
    Comparison(String),
    All(Vec<Marker>),
    Any(Vec<Marker>),
}

impl Marker {
    fn text(&self) -> String {
        match self {
            Self::Comparison(text) => text.clone(),
            Self::Any(operands) => {
                let texts: BTreeSet<String> = operands.iter().map(Self::text).collect();
                Vec::from_iter(texts).join(" or ")
            }
            Self::All(operands) => {
                let texts: BTreeSet<String> = operands.iter().map(Self::operand_of_and).collect();
                Vec::from_iter(texts).join(" and ")
            }
        }
    }

    fn operand_of_and(&self) -> String {
        match self.text() {
            // `(a or a)` has become `a`.
            text if matches!(self, Self::Any(_)) && has_or(self) => format!("({text})"),
            text => text,
        }
    }
}

/// True if an `or` has more than one operand left.
fn has_or(marker: &Marker) -> bool {
    let Marker::Any(operands) = marker else {
        return false;
    };
    let texts: BTreeSet<String> = operands.iter().map(Marker::text).collect();
    texts.len() > 1
}

/// Normal form of a marker.
///
/// # Errors
/// Description of the fault.
pub(super) fn normalised(text: &str) -> Result<String, String> {
    let mut parser = Parser { rest: text, depth: 0 };
    let marker = parser.any()?;
    parser.skip_space();
    match parser.rest {
        "" => Ok(marker.text()),
        rest => Err(format!("marker: expected `and`, `or` or the end, found {rest:?}")),
    }
}

enum Operand {
    Variable(&'static str),
    Literal(String),
}

impl Operand {
    fn text(&self) -> &str {
        match self {
            Self::Variable(name) => name,
            Self::Literal(quoted) => quoted,
        }
    }
}

/// Rest of the text, and its depth of nesting.
struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Marker, String> {
        let mut operands = vec![self.all()?];
        while self.word("or") {
            operands.push(self.all()?);
        }
        let flat = operands.into_iter().flat_map(|operand| match operand {
            Marker::Any(inner) => inner,
            other => vec![other],
        });
        Ok(single(flat.collect()).unwrap_or_else(Marker::Any))
    }

    fn all(&mut self) -> Result<Marker, String> {
        let mut operands = vec![self.term()?];
        while self.word("and") {
            operands.push(self.term()?);
        }
        let flat = operands.into_iter().flat_map(|operand| match operand {
            Marker::All(inner) => inner,
            other => vec![other],
        });
        Ok(single(flat.collect()).unwrap_or_else(Marker::All))
    }

    fn term(&mut self) -> Result<Marker, String> {
        if !self.symbol("(") {
            return self.comparison();
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("marker: more than {MAX_DEPTH} parentheses inside each other"));
        }
        let inner = self.any()?;
        self.depth -= 1;
        if self.symbol(")") { Ok(inner) } else { Err("marker: `(` without `)`".to_owned()) }
    }

    fn comparison(&mut self) -> Result<Marker, String> {
        let left = self.operand()?;
        let operator = self.operator()?;
        let right = self.operand()?;
        let mirrored = MIRRORED.iter().find(|(from, _)| *from == operator).map(|(_, to)| *to);
        let text = match (&left, mirrored, &right) {
            (Operand::Literal(literal), Some(mirrored), Operand::Variable(variable)) => {
                format!("{variable} {mirrored} {literal}")
            }
            _ => format!("{} {operator} {}", left.text(), right.text()),
        };
        Ok(Marker::Comparison(text))
    }

    fn operand(&mut self) -> Result<Operand, String> {
        self.skip_space();
        if let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            return self.literal(quote);
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let known = VARIABLES.iter().find(|(name, _)| *name == word);
        let (_, name) = known.ok_or_else(|| {
            format!("marker: expected a variable such as python_version, found {:?}", self.rest)
        })?;
        self.rest = rest;
        Ok(Operand::Variable(name))
    }

    fn literal(&mut self, quote: char) -> Result<Operand, String> {
        let inner = self.rest.get(1..).unwrap_or_default();
        let (value, rest) =
            inner.split_once(quote).ok_or_else(|| format!("marker: {quote} is not closed"))?;
        if value.contains(|c| c == '\\' || is_invisible(c)) {
            return Err(format!("marker: {value:?} has characters that are not allowed"));
        }
        self.rest = rest;
        let quote = if value.contains('"') { '\'' } else { '"' };
        Ok(Operand::Literal(format!("{quote}{value}{quote}")))
    }

    fn operator(&mut self) -> Result<&'static str, String> {
        let symbols = ["===", "==", "!=", "<=", ">=", "~=", "<", ">"];
        if let Some(symbol) = symbols.into_iter().find(|symbol| self.symbol(symbol)) {
            return Ok(symbol);
        }
        if self.word("in") {
            return Ok("in");
        }
        if self.word("not") && self.word("in") {
            return Ok("not in");
        }
        Err(format!("marker: expected an operator such as >= or in, found {:?}", self.rest))
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Consumes these characters.
    fn symbol(&mut self, symbol: &str) -> bool {
        self.skip_space();
        let rest = self.rest.strip_prefix(symbol);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Consumes this word, unless it is the beginning of a longer one.
    fn word(&mut self, word: &str) -> bool {
        self.skip_space();
        let is_end = |rest: &&str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let rest = self.rest.strip_prefix(word).filter(is_end);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

/// The only operand, or all of them.
fn single(mut operands: Vec<Marker>) -> Result<Marker, Vec<Marker>> {
    match operands.pop() {
        Some(only) if operands.is_empty() => Ok(only),
        Some(last) => {
            operands.push(last);
            Err(operands)
        }
        None => Err(operands),
    }
}
