//! A secret is a type that can't be printed or serialised.
//!
//! It carries the clear text, wiped when dropped, and a *shown* form in which each secret stands
//! as its name and version. What a filter or a template makes from a secret is a secret again.

use std::fmt;

use zeroize::Zeroizing;

/// The name of a secret in the project file.
pub type SecretName = String;

/// Clear text that must not be seen, and what stands for it where people look.
///
/// Neither `Display` nor `Serialize` exists, and `Debug` prints the shown form.
#[derive(Clone)]
pub struct Secret {
    clear: Zeroizing<String>,
    shown: String,
}

impl Secret {
    /// A secret as its provider gave it; `version` tells two values of one name apart without
    /// telling anything about them.
    pub fn new(name: &str, version: &str, clear: String) -> Self {
        Self { clear: Zeroizing::new(clear), shown: format!("‹secret {name}@{version}›") }
    }

    /// What became of a secret: text built from it, with its own shown form.
    pub fn derived(clear: String, shown: String) -> Self {
        Self { clear: Zeroizing::new(clear), shown }
    }

    /// The clear text, for handing to a transport and nothing else.
    pub fn expose(&self) -> &str {
        &self.clear
    }

    /// What people and journals see.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The same transformation of the clear text; the shown form says that there was one.
    pub fn map(&self, what: &str, f: impl FnOnce(&str) -> String) -> Self {
        Self { clear: Zeroizing::new(f(&self.clear)), shown: format!("{} | {what}", self.shown) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl PartialEq for Secret {
    /// Compares clear texts in constant time.
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.clear.as_bytes(), other.clear.as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_its_name_only() {
        let secret = Secret::new("token", "1a2b", "s3cr3t-value".into());
        assert_eq!(format!("{secret:?}"), "‹secret token@1a2b›");
        let upper = secret.map("upper", str::to_uppercase);
        assert_eq!(
            (upper.expose(), upper.shown()),
            ("S3CR3T-VALUE", "‹secret token@1a2b› | upper")
        );
        assert!(!format!("{upper:?}").contains("S3CR"));
    }
}
