//! Takes secrets, card numbers and named columns out of what leaves a transport.
//!
//! Owns the one filter between transports and everything else, and what it promises to find:
//!
//! * a learned secret as it is, and in base64 (both alphabets, any offset, twice, of UTF-16),
//!   hexadecimal (also in pairs), UTF-16, quoted-printable, with quotes doubled or quoted for a
//!   shell; each line of eight or more characters of a secret of several lines;
//! * all of that behind up to two layers of backslash escapes (JSON, C, shells), percent-encoding
//!   and HTML entities, and across line breaks, terminal sequences and zero-width characters;
//! * card numbers and track data, as `cards` says.
//!
//! It does not find a secret that was compressed, encrypted, reversed, cut into parts or changed in
//! case, nor one of fewer than four characters, which would stand in every other word.

mod cards;
mod forms;
mod search;
mod stream;
mod view;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    ops::Range,
    sync::{Arc, PoisonError, RwLock},
};

use self::search::Search;
pub use self::stream::RedactingStream;
use super::{Map, Secret, Value};

/// Secrets of fewer characters are not looked for.
pub const SHORTEST: usize = 4;
/// What stands for the value of a masked column.
pub const MASKED: &str = "‹masked›";

/// Longer than any card number or track with what must be seen around it.
const LONGEST_CARD: usize = 256;

/// The one filter between transports and everything else. Clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor {
    columns: Arc<HashSet<String>>,
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    /// Forms, and the number of what is shown for them. They are not wiped when dropped: the
    /// automaton holds them in clear anyway, for as long as the process lives.
    forms: BTreeMap<Vec<u8>, usize>,
    shown: Vec<String>,
    /// Length of the longest secret.
    longest: usize,
    search: Option<Arc<Search>>,
}

/// Something that must not be seen.
struct Finding {
    range: Range<usize>,
    shown: String,
    rank: u8,
}

impl Finding {
    fn card(range: Range<usize>, shown: String) -> Self {
        Self { range, shown, rank: 0 }
    }

    fn track(range: Range<usize>, shown: String) -> Self {
        Self { range, shown, rank: 1 }
    }

    fn secret(range: Range<usize>, shown: String) -> Self {
        Self { range, shown, rank: 2 }
    }
}

impl Redactor {
    /// A redactor that masks the values of these columns, in maps at any depth; letters may be in
    /// either case.
    pub fn new(columns: &[String]) -> Self {
        Self {
            columns: Arc::new(columns.iter().map(|c| c.to_lowercase()).collect()),
            known: Arc::default(),
        }
    }

    /// Knows this secret from now on, in all its encodings. One of fewer than `SHORTEST`
    /// characters is not learned.
    pub fn learn(&self, secret: &Secret) {
        let forms = forms::of(secret.expose());
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let number = known.shown.len();
        known.shown.push(secret.shown().to_owned());
        let before = known.forms.len();
        for form in forms {
            // The first name stays: a derived secret often has forms of the one it came from.
            known.forms.entry(form).or_insert(number);
        }
        if known.forms.len() > before {
            known.longest = known.longest.max(secret.expose().len());
            known.search = Search::new(&known.forms, &known.shown, known.longest).map(Arc::new);
        }
    }

    /// Text without what must not be seen.
    pub fn text(&self, text: &str) -> String {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => text.to_owned(),
            Cow::Owned(bytes) => String::from_utf8(bytes)
                .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()),
        }
    }

    /// The same for bytes that need not be text; borrowed when nothing was found.
    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let found = merge(self.find(bytes, 0));
        if found.is_empty() {
            return Cow::Borrowed(bytes);
        }
        Cow::Owned(replace(bytes, found, 0..bytes.len()))
    }

    /// The same for bytes that arrive in pieces.
    pub fn stream(&self) -> RedactingStream {
        RedactingStream::new(self.clone())
    }

    /// The same through a whole value; `true` when anything was taken away.
    ///
    /// A number that is or holds something hidden becomes text; a `Value::Secret` stays one, since
    /// it shows nothing.
    pub fn value(&self, value: &Value) -> (Value, bool) {
        match value {
            Value::Null | Value::Bool(_) | Value::Time(_) | Value::Secret(_) => {
                (value.clone(), false)
            }
            Value::Int(_) | Value::Decimal(_) => self.number(value, &value.to_string()),
            Value::Float(f) if f.fract() == 0.0 => self.number(value, &format!("{f:.0}")),
            Value::Float(f) => self.number(value, &f.to_string()),
            Value::Text(text) => match self.bytes(text.as_bytes()) {
                Cow::Borrowed(_) => (value.clone(), false),
                Cow::Owned(bytes) => {
                    (Value::Text(String::from_utf8_lossy(&bytes).into_owned()), true)
                }
            },
            Value::Bytes(bytes) => match self.bytes(bytes) {
                Cow::Borrowed(_) => (value.clone(), false),
                Cow::Owned(bytes) => (Value::Bytes(bytes), true),
            },
            Value::List(items) => {
                let mut changed = false;
                let items = items.iter().map(|item| {
                    let (item, differs) = self.value(item);
                    changed |= differs;
                    item
                });
                (Value::List(items.collect()), changed)
            }
            Value::Map(map) => self.map(map),
        }
    }

    /// The value of a field of this name, outside of its map.
    pub fn field(&self, name: &str, value: &Value) -> Value {
        match value {
            Value::Null | Value::Secret(_) => value.clone(),
            _ if self.columns.contains(&name.to_lowercase()) => Value::text(MASKED),
            _ => self.value(value).0,
        }
    }

    fn number(&self, value: &Value, text: &str) -> (Value, bool) {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => (value.clone(), false),
            Cow::Owned(bytes) => (Value::Text(String::from_utf8_lossy(&bytes).into_owned()), true),
        }
    }

    fn map(&self, map: &Map) -> (Value, bool) {
        let mut changed = false;
        let mut out = Map::with_capacity(map.len());
        for (key, value) in map {
            let shown = self.text(key);
            let (value, differs) = match value {
                Value::Null | Value::Secret(_) => (value.clone(), false),
                _ if self.columns.contains(&key.to_lowercase()) => {
                    let masked = Value::text(MASKED);
                    let differs = *value != masked;
                    (masked, differs)
                }
                _ => self.value(value),
            };
            changed |= differs || shown != *key;
            out.insert(free_key(&out, shown), value);
        }
        (Value::Map(out), changed)
    }

    /// How many bytes may stand between the begin and the end of a finding.
    fn reach(&self) -> usize {
        self.search().map_or(0, |search| search.reach()) + LONGEST_CARD
    }

    fn search(&self) -> Option<Arc<Search>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).search.clone()
    }

    /// Everything that begins at `from` or behind it.
    fn find(&self, source: &[u8], from: usize) -> Vec<Finding> {
        let mut found = Vec::new();
        if let Some(search) = self.search() {
            search.find(&source[from..], &mut found);
            for finding in &mut found {
                finding.range = finding.range.start + from..finding.range.end + from;
            }
        }
        cards::find(source, from, &mut found);
        found
    }
}

/// Two keys may look alike once they are masked; none is lost.
fn free_key(map: &Map, key: String) -> String {
    if !map.contains_key(&key) {
        return key;
    }
    (2usize..).map(|n| format!("{key} ({n})")).find(|k| !map.contains_key(k)).unwrap_or(key)
}

/// In order, with findings that overlap made one, for which the secret or else the longest speaks.
fn merge(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by_key(|f| (f.range.start, usize::MAX - f.range.end));
    let mut merged: Vec<Finding> = Vec::with_capacity(found.len());
    // How much the one that speaks covers by itself.
    let mut weight = (0, 0);
    for finding in found {
        let own = (finding.rank, finding.range.len());
        match merged.last_mut() {
            Some(last) if finding.range.start < last.range.end => {
                last.range.end = last.range.end.max(finding.range.end);
                if own > weight {
                    weight = own;
                    last.shown = finding.shown;
                    last.rank = finding.rank;
                }
            }
            _ => {
                weight = own;
                merged.push(finding);
            }
        }
    }
    merged
}

/// A part of the source with its findings replaced.
fn replace(source: &[u8], found: Vec<Finding>, part: Range<usize>) -> Vec<u8> {
    let mut out = Vec::with_capacity(part.len());
    let mut done = part.start;
    for finding in found {
        if finding.range.start >= part.end {
            break;
        }
        out.extend_from_slice(&source[done..finding.range.start.max(done)]);
        out.extend_from_slice(finding.shown.as_bytes());
        done = finding.range.end;
    }
    out.extend_from_slice(&source[done.min(part.end)..part.end]);
    out
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use base64::{Engine, engine::general_purpose::STANDARD};

    use super::*;

    const SECRETS: &[&str] = &[
        "hunter2hunter2",
        "S3cr3t/P@ss+w0rd=\"x'&<\\é9",
        "correct horse battery staple",
        "p%40ss%2Fword",
        "$2b$12$abcdefghijklmnopqrstuv",
        "{\"user\":\"u\",\"password\":\"n3st3dP@ss\"}",
        "'; drop table x; --Pw1",
        "пароль-секрет-1",
        "a\\nb\\x41c&amp;d%25e",
    ];

    fn knowing(clear: &str) -> Redactor {
        let redactor = Redactor::new(&["Card_Number".into(), "cpf".into()]);
        redactor.learn(&Secret::new("s", "1", clear.into()));
        redactor
    }

    fn each(text: &str, write: impl Fn(char) -> String) -> String {
        text.chars().map(write).collect()
    }

    fn percent(text: &str, all: bool) -> String {
        each(text, |c| {
            if c.is_ascii_alphanumeric() && !all {
                return c.to_string();
            }
            let mut buffer = [0; 4];
            c.encode_utf8(&mut buffer).bytes().map(|b| format!("%{b:02X}")).collect()
        })
    }

    fn json(text: &str) -> String {
        let quoted = serde_json::to_string(text).unwrap();
        quoted[1..quoted.len() - 1].to_owned()
    }

    fn html(text: &str) -> String {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;")
            .replace('\'', "&#39;")
    }

    fn encodings(t: &str) -> Vec<(&'static str, String)> {
        let bytes =
            |form: &str| t.bytes().map(|b| form.replace("XX", &format!("{b:02x}"))).collect();
        let unicode = |t: &str| t.encode_utf16().map(|u| format!("\\u{u:04x}")).collect::<String>();
        let hex: String = bytes("XX");
        vec![
            ("raw", t.to_owned()),
            ("base64", STANDARD.encode(t)),
            ("basic", STANDARD.encode(format!("svc:{t}"))),
            ("base64 inside", STANDARD.encode(format!("ab{t}yz"))),
            ("base64 twice", STANDARD.encode(STANDARD.encode(t))),
            ("hex", hex.clone()),
            ("HEX", hex.to_uppercase()),
            ("\\x", bytes("\\xXX")),
            ("octal", t.bytes().map(|b| format!("\\{b:03o}")).collect()),
            ("hex pairs", bytes("XX:").trim_end_matches(':').to_owned()),
            ("percent", percent(t, false)),
            ("percent all", percent(t, true)),
            ("percent lower", percent(t, false).to_lowercase().replace(&t.to_lowercase(), t)),
            ("percent twice", percent(&percent(t, false), false)),
            ("form", percent(t, false).replace("%20", "+")),
            ("json", json(t)),
            ("json slash", json(t).replace('/', "\\/")),
            ("json unicode", unicode(t)),
            ("json in json", json(&json(t))),
            ("json in url", percent(&json(t), false)),
            ("html", html(t)),
            ("html decimal", each(t, |c| format!("&#{};", u32::from(c)))),
            ("html hex", each(t, |c| format!("&#x{:x};", u32::from(c)))),
            ("html in json", json(&html(t))),
            ("shell", t.replace('\'', r"'\''")),
            (
                "backslash",
                each(t, |c| if c.is_alphanumeric() { c.into() } else { format!("\\{c}") }),
            ),
            ("debug", format!("{t:?}")),
            ("sql", t.replace('\'', "''")),
            ("csv", t.replace('"', "\"\"")),
            ("colours", each(t, |c| format!("\x1b[31m{c}\x1b[0m"))),
            ("wrapped", each(t, |c| if c == ' ' { c.into() } else { format!("\r\n{c}") })),
            ("nul", each(t, |c| format!("{c}\0"))),
            ("zero width", each(t, |c| format!("{c}\u{200b}"))),
            ("after escape", format!("\x1b[{t}")),
        ]
    }

    #[test]
    fn a_secret_is_found_in_every_encoding() {
        for secret in SECRETS {
            let redactor = knowing(secret);
            for (name, form) in encodings(secret) {
                // Lower case of a secret with capitals is another text.
                if name == "percent lower" && secret.chars().any(char::is_uppercase) {
                    continue;
                }
                let out = redactor.text(&format!("before {form} after"));
                assert!(out.contains("‹secret s@1›"), "{secret} {name}: {out}");
                assert!(out.starts_with("before ") && out.ends_with(" after"), "{name}: {out}");
                // Base64 keeps at most the character that it shares with its neighbours.
                let rest = out.replace("‹secret s@1›", "");
                assert!(rest.len() < 14 + 10, "{secret} {name}: {out}");
            }
        }
    }

    #[test]
    fn text_around_stays_as_it_is() {
        let text = "a \\n b\n  c %41 &amp; d\x1b[0m é ‹x›";
        assert_eq!(knowing("hunter2").text(text), text);
        let out = knowing("hunter2").text(&format!("{text}hunter2{text}"));
        assert_eq!(out, format!("{text}‹secret s@1›{text}"));
    }

    #[test]
    fn utf16_is_found_in_bytes() {
        for secret in ["hunter2", "пароль"] {
            let redactor = knowing(secret);
            let bytes: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let out = redactor.bytes(&bytes).into_owned();
            assert!(String::from_utf8_lossy(&out).starts_with("‹secret s@1›"), "{secret}");
        }
    }

    #[test]
    fn short_secrets_are_not_looked_for_and_not_across_lines() {
        assert_eq!(knowing("abc").text("abc"), "abc");
        assert_eq!(knowing("1234").text("1234 12\n34"), "‹secret s@1› 12\n34");
        assert_eq!(knowing("12345678").text("1234\n5678"), "‹secret s@1›");
    }

    #[test]
    fn every_line_of_a_key_is_hidden() {
        let key = "-----BEGIN K-----\nAAAAAAAAAAAABBBB\nCCCCCCCCDDDDDDDD\n-----END K-----\n";
        let redactor = knowing(key);
        assert_eq!(redactor.text(key), "‹secret s@1›\n");
        assert_eq!(redactor.text(&json(key)), "‹secret s@1›\\n");
        assert_eq!(redactor.text("x CCCCCCCCDDDDDDDD"), "x ‹secret s@1›");
        assert_eq!(redactor.text("-----BEGIN K-----"), "-----BEGIN K-----");
    }

    #[test]
    fn overlapping_secrets_leave_nothing() {
        let redactor = knowing("abcdefgh");
        redactor.learn(&Secret::new("t", "2", "efghijklmn".into()));
        redactor.learn(&Secret::derived("Bearer abcdefgh".into(), "Bearer ‹secret s@1›".into()));
        assert_eq!(redactor.text("xabcdefghijklmny"), "x‹secret t@2›y");
        assert_eq!(redactor.text("Bearer abcdefgh"), "Bearer ‹secret s@1›");
    }

    #[test]
    fn a_clone_knows_what_is_learned_later() {
        let redactor = Redactor::default();
        let clone = redactor.clone();
        redactor.learn(&Secret::new("s", "1", "hunter2".into()));
        assert_eq!(clone.text("hunter2"), "‹secret s@1›");
    }

    #[test]
    fn columns_are_masked_at_any_depth_and_null_stays() {
        let row = Value::map([
            ("CPF", Value::Int(12_345_678_909)),
            ("card_number", Value::Null),
            ("name", Value::text("Ana")),
        ]);
        let (out, changed) = knowing("hunter2").value(&Value::List(vec![row.clone()]));
        assert!(changed);
        let out = &out.as_list().unwrap()[0];
        assert_eq!(out.get("CPF"), Some(&Value::text(MASKED)));
        assert_eq!(out.get("card_number"), Some(&Value::Null));
        assert_eq!(out.get("name"), Some(&Value::text("Ana")));
        // What was masked before is not masked again.
        assert_eq!(knowing("hunter2").value(out), (out.clone(), false));
    }

    #[test]
    fn values_of_every_kind_are_searched() {
        let redactor = knowing("48913377");
        let masked = |value: Value| redactor.value(&value);
        let secret = || (Value::text("‹secret s@1›"), true);
        let card = || (Value::text("411111******1111"), true);
        assert_eq!(masked(Value::Int(48_913_377)), secret());
        assert_eq!(masked(Value::Decimal("48913377".parse().unwrap())), secret());
        assert_eq!(masked(Value::Int(4_111_111_111_111_111)), card());
        assert_eq!(masked(Value::Decimal("4111111111111111".parse().unwrap())), card());
        assert_eq!(masked(Value::Float(4_111_111_111_111_111.0)), card());
        assert!(masked(Value::Bytes(b"48913377".to_vec())).1);
        let amount = Value::Decimal("4111111111111111.00".parse().unwrap());
        assert_eq!(masked(amount.clone()), (amount, false));
        let kept = Value::Secret(Secret::new("s", "1", "48913377".into()));
        assert!(!masked(kept).1);
    }

    #[test]
    fn keys_are_searched_and_none_is_lost() {
        let map = Value::map([
            ("4111111111111111", Value::Int(1)),
            ("4111110000001111", Value::Int(2)),
            ("4111111111121111", Value::Int(3)),
        ]);
        let (out, changed) = Redactor::default().value(&map);
        assert!(changed);
        assert_eq!(out.as_map().unwrap().len(), 3);
        assert!(out.get("411111******1111").is_some());
    }

    #[test]
    fn the_cost_does_not_explode() {
        let redactor = knowing(&"S3cr3t/P@ss ".repeat(100));
        let text = "\\u0041%41&#65;\x1b[1m4111 1111 \n".repeat(20_000);
        let start = Instant::now();
        redactor.text(&text);
        // Quadratic work would take minutes.
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }
}
