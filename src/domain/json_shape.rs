//! Counts the values of a JSON text without building them, to bound the memory of a tree in
//! advance: it is many times as large as the text.

/// Values of a JSON text. For invalid JSON, at least as many as a reader finds before it
/// fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shape {
    /// Values in arrays, and the text's own.
    pub elements: usize,
    /// Values in objects.
    pub members: usize,
    /// Arrays and objects among them.
    pub containers: usize,
}

impl Shape {
    /// Counts the values of `text`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut shape = Self { elements: 1, ..Self::default() };
        // At depths beyond the bits of the number, all containers count as objects, which
        // need more memory.
        let (mut objects, mut depth) = (0_u128, 0_u32);
        let (mut is_string, mut is_escaped) = (false, false);
        for byte in text.bytes() {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if is_string => is_escaped = true,
                b'"' => is_string = !is_string,
                _ if is_string => {}
                b'[' | b'{' => {
                    let is_object = byte == b'{' || depth >= u128::BITS;
                    objects = objects << 1 | u128::from(is_object);
                    depth += 1;
                    shape.containers += 1;
                    shape.add(is_object);
                }
                b']' | b'}' => {
                    objects >>= 1;
                    depth = depth.saturating_sub(1);
                }
                b',' => shape.add(objects & 1 == 1),
                _ => {}
            }
        }
        shape
    }

    /// All values.
    #[must_use]
    pub fn values(self) -> usize {
        self.elements + self.members
    }

    fn add(&mut self, is_member: bool) {
        if is_member {
            self.members += 1;
        } else {
            self.elements += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Elements with the value itself, members, containers.
    fn counted(value: &Value) -> (usize, usize, usize) {
        let (own, inner): ((usize, usize), Vec<&Value>) = match value {
            Value::Array(elements) => ((elements.len(), 0), elements.iter().collect()),
            Value::Object(members) => ((0, members.len()), members.values().collect()),
            _ => return (0, 0, 0),
        };
        inner
            .into_iter()
            .map(counted)
            .fold((own.0, own.1, 1), |all, it| (all.0 + it.0, all.1 + it.1, all.2 + it.2))
    }

    #[test]
    fn values_are_counted_where_they_are() {
        let shape = |text| {
            let Shape { elements, members, containers } = Shape::of(text);
            (elements, members, containers)
        };
        assert_eq!(shape("1"), (1, 0, 0));
        assert_eq!(shape("[1,2,3]"), (4, 0, 1));
        assert_eq!(shape("{\"a\": 1, \"b\": [2, {\"c\": 3}]}"), (3, 3, 3));
        assert_eq!(shape("[\"a,b\\\",[{\", 1]"), (3, 0, 1));
        // What is empty counts as one more.
        assert_eq!(shape("[[],{}]"), (4, 1, 3));
        assert_eq!(Shape::of(&"[".repeat(100_000)).values(), 100_001);
    }

    proptest! {
        #[test]
        fn none_is_missed(text in "[\\[\\]{}:,0-9a\" \\\\]{0,40}") {
            let shape = Shape::of(&text);
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let (elements, members, containers) = counted(&value);
                prop_assert!(shape.elements > elements);
                prop_assert!(shape.members >= members);
                prop_assert_eq!(shape.containers, containers);
            }
        }
    }
}
