//! Deserialisers of fields that tell an absent field from `null`.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::domain::sanitize::sanitize;

/// Deserialises a field that is present, `null` or not.
pub(super) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// An object deserialised from a map only: serde's derived code also accepts a list of the values.
struct ByName<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ByName<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = T;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Reader(PhantomData)).map(Self)
    }
}

/// Deserialises an object that is present, `null` or not.
pub(super) fn present_object<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let object = Option::<ByName<T>>::deserialize(deserializer)?;
    Ok(Some(object.map(|object| object.0)))
}

/// Values by names that are there once.
struct Once<T>(BTreeMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Once<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Once<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of values by their names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once<T>, A::Error> {
                let mut values = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, T>()? {
                    if values.contains_key(&name) {
                        let detail = format!("{:?} is there more than once", sanitize(&name));
                        return Err(A::Error::custom(detail));
                    }
                    values.insert(name, value);
                }
                Ok(Once(values))
            }
        }
        deserializer.deserialize_map(Reader(PhantomData))
    }
}

/// Deserialises variables that are present, `null` or not.
pub(super) fn present_variables<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<BTreeMap<String, String>>>, D::Error> {
    Ok(Some(Option::<Once<String>>::deserialize(deserializer)?.map(|once| once.0)))
}

/// Deserialises objects by name that are present, `null` or not.
pub(super) fn present_named<'de, D, T>(
    deserializer: D,
) -> Result<Option<Option<BTreeMap<String, T>>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let named = Option::<Once<ByName<T>>>::deserialize(deserializer)?;
    let unwrapped = |Once(named): Once<ByName<T>>| {
        named.into_iter().map(|(name, object)| (name, object.0)).collect()
    };
    Ok(Some(named.map(unwrapped)))
}

/// Deserialises objects that are present, `null` or not.
pub(super) fn present_objects<'de, D, T>(
    deserializer: D,
) -> Result<Option<Option<Vec<T>>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let objects = Option::<Vec<ByName<T>>>::deserialize(deserializer)?;
    Ok(Some(objects.map(|objects| objects.into_iter().map(|object| object.0).collect())))
}
