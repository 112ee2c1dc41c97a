//! Canonical form of JSON values, which every database returns unchanged.
//!
//! PostgreSQL's JSONB keeps numbers as decimals (PostgreSQL, "JSON Types"): it
//! gives `1e16` back as `10000000000000000`, and knows no negative zero. Whatever
//! is compared or digested after it was read has to be in this form before it is
//! written. Fractions need nothing: as decimals they are the nearest double again.

use serde_json::{Number, Value};

/// Value with whole numbers as integers, if 64 bits hold them.
#[must_use]
pub fn canonical(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(whole(&number).unwrap_or(number)),
        Value::Array(elements) => elements.into_iter().map(canonical).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, member)| (name, canonical(member))).collect()
        }
        other => other,
    }
}

/// Number as an integer, if 64 bits hold it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded before")]
fn whole(number: &Number) -> Option<Number> {
    let float = number.as_f64().filter(|_| number.is_f64())?;
    if float.fract() != 0.0 {
        return None;
    }
    // 2^63 and 2^64 are doubles; smaller whole numbers fit.
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&float) {
        return Some(Number::from(float as i64));
    }
    (0.0..18_446_744_073_709_551_616.0).contains(&float).then(|| Number::from(float as u64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_numbers_have_one_form() {
        let sent = "[1.0, 1e2, -0.0, -0, 1e16, 1.5, 1.10, 1e19, 1e300, -9223372036854775809]";
        let kept = canonical(serde_json::from_str(sent).unwrap()).to_string();
        let expected = "[1,100,0,0,10000000000000000,1.5,1.1,10000000000000000000,1e+300,\
                        -9223372036854775808]";
        assert_eq!(kept, expected);
    }

    #[test]
    fn names_have_one_order() {
        let sent: Value = serde_json::from_str(r#"{"b": 1, "aa": 2, "a": 3, "b": 4}"#).unwrap();
        assert_eq!(canonical(sent).to_string(), r#"{"a":3,"aa":2,"b":4}"#);
    }

    /// Number as PostgreSQL writes it: without exponent and without further digits.
    fn decimal(number: f64) -> String {
        let text = format!("{number}");
        if text == "-0" { "0".to_owned() } else { text }
    }

    proptest! {
        #[test]
        fn every_double_is_the_same_after_it_was_a_decimal(bits: u64) {
            let float = f64::from_bits(bits);
            prop_assume!(float.is_finite());
            let kept = canonical(Value::from(float));
            // A whole number is written as an integer, digit for digit.
            if kept.is_f64() {
                let decimal: Value = serde_json::from_str(&decimal(float)).unwrap();
                prop_assert_eq!(&decimal, &kept);
            }
            let text: Value = serde_json::from_str(&kept.to_string()).unwrap();
            prop_assert_eq!(&text, &kept);
            prop_assert_eq!(&canonical(kept.clone()), &kept);
        }
    }
}
