//! Searches bytes for the forms of all secrets, behind escapes too.
//!
//! Owns the automaton, the filter before it and the order of decoders. Must not know what a form
//! is.

use std::{collections::BTreeMap, ops::Range};

use aho_corasick::{
    AhoCorasick, AhoCorasickKind, Anchored, Input, StartKind, automaton::OverlappingState,
};
use memchr::{memchr, memchr2, memchr3};

use super::{
    Finding,
    view::{self, DECODERS, View},
};

/// Forms that are shorter are not looked for across line breaks: numbers in a column below each
/// other would be taken for them.
const SHORTEST_ACROSS_LINES: usize = 8;
/// How many escapes are looked through.
const LAYERS: usize = 2;
/// One character may be written with so many bytes: `&#x0041;`, or with colours around it.
const WIDEST_CHARACTER: usize = 12;

/// What is looked for. Replaced as a whole when something is learned.
pub(super) struct Search {
    filter: Filter,
    automaton: AhoCorasick,
    /// What is shown, by number of the form.
    shown: Vec<String>,
    reach: usize,
}

/// Bytes, and how to come back from them to the text that they were decoded from.
struct Layer<'a> {
    bytes: &'a [u8],
    below: Option<(&'a View, &'a Layer<'a>)>,
}

impl<'a> Layer<'a> {
    fn over(&'a self, view: &'a View) -> Layer<'a> {
        Layer { bytes: &view.bytes, below: Some((view, self)) }
    }

    fn source(&self, range: Range<usize>) -> Range<usize> {
        match self.below {
            Some((view, below)) => below.source(view.source(&range)),
            None => range,
        }
    }
}

impl Search {
    /// For these forms, each with the number of what is shown for it; `longest` is the length of
    /// the longest secret. `None` when there is nothing to look for.
    pub(super) fn new(
        forms: &BTreeMap<Vec<u8>, usize>,
        shown: &[String],
        longest: usize,
    ) -> Option<Self> {
        let automaton = AhoCorasick::builder()
            .start_kind(StartKind::Anchored)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(forms.keys())
            .ok()?;
        Some(Self {
            filter: Filter::new(forms)?,
            automaton,
            shown: forms.values().map(|number| shown[*number].clone()).collect(),
            // An encoded form has line breaks at most: twice its length is plenty.
            reach: forms
                .keys()
                .map(|form| form.len() * 2)
                .fold(longest * WIDEST_CHARACTER, usize::max),
        })
    }

    /// How many bytes may stand between the begin and the end of a finding.
    pub(super) fn reach(&self) -> usize {
        self.reach
    }

    /// All findings, also those inside of each other.
    pub(super) fn find(&self, source: &[u8], found: &mut Vec<Finding>) {
        let whole = Layer { bytes: source, below: None };
        match view::joined(source) {
            Some(view) => {
                // A sequence may have eaten the first letter of a secret behind it.
                if memchr(0x1b, source).is_some() {
                    self.matches(&whole, &whole, found);
                }
                self.search(&whole.over(&view), &whole, LAYERS, found);
            }
            None => self.search(&whole, &whole, LAYERS, found),
        }
    }

    fn search(&self, layer: &Layer, whole: &Layer, layers: usize, found: &mut Vec<Finding>) {
        self.matches(layer, whole, found);
        if layers == 0 || memchr3(b'\\', b'%', b'&', layer.bytes).is_none() {
            return;
        }
        for view in DECODERS.iter().filter_map(|decode| decode(layer.bytes)) {
            let decoded = layer.over(&view);
            match view::joined(&view.bytes) {
                Some(joined) => self.search(&decoded.over(&joined), whole, layers - 1, found),
                None => self.search(&decoded, whole, layers - 1, found),
            }
        }
    }

    fn matches(&self, layer: &Layer, whole: &Layer, found: &mut Vec<Finding>) {
        let mut from = 0;
        while let Some(start) = self.filter.next(layer.bytes, from) {
            from = start + 1;
            let input = Input::new(layer.bytes).span(start..layer.bytes.len());
            let input = input.anchored(Anchored::Yes);
            let mut state = OverlappingState::start();
            // All that begin here: one secret may be the begin of another.
            while self.automaton.try_find_overlapping(input.clone(), &mut state).is_ok() {
                let Some(m) = state.get_match() else { break };
                let range = layer.source(m.range());
                let lines = m.len() < SHORTEST_ACROSS_LINES
                    && memchr2(b'\n', b'\r', &whole.bytes[range.clone()]).is_some();
                if !lines {
                    let shown = self.shown[m.pattern().as_usize()].clone();
                    found.push(Finding::secret(range, shown));
                }
            }
        }
    }
}

/// Finds places where a form may begin, looking at few bytes: the shift table of Wu and Manber, "A
/// fast algorithm for multi-pattern searching" (1994), with blocks of three bytes.
struct Filter {
    /// Length of the shortest form; only so much of each form is looked at.
    shortest: usize,
    /// By hash of a block: how far a form's begin is away at least, when this block is the last
    /// of `shortest` bytes.
    shifts: Vec<u8>,
    bits: u32,
}

const BLOCK: usize = 3;

impl Filter {
    fn new(forms: &BTreeMap<Vec<u8>, usize>) -> Option<Self> {
        let shortest = forms.keys().map(Vec::len).min()?.min(64);
        if shortest < BLOCK {
            return None;
        }
        // Sparse enough that other text rarely meets an entry; the smallest fits the first cache.
        let entries = forms.len() * (shortest - BLOCK + 1) * 16;
        let bits = entries.next_power_of_two().ilog2().clamp(14, 20);
        let mut filter = Self { shortest, shifts: Vec::new(), bits };
        filter.shifts = vec![u8::try_from(shortest - BLOCK + 1).ok()?; 1 << bits];
        for form in forms.keys() {
            for end in BLOCK..=shortest {
                let hash = filter.hash(&form[end - BLOCK..end]);
                let shift = u8::try_from(shortest - end).ok()?;
                filter.shifts[hash] = filter.shifts[hash].min(shift);
            }
        }
        Some(filter)
    }

    fn hash(&self, block: &[u8]) -> usize {
        let number = u32::from(block[0]) | u32::from(block[1]) << 8 | u32::from(block[2]) << 16;
        // Fibonacci hashing: Knuth, The Art of Computer Programming, volume 3, 6.4.
        (number.wrapping_mul(0x9e37_79b1) >> (32 - self.bits)) as usize
    }

    fn next(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let mut end = from + self.shortest;
        while end <= bytes.len() {
            match self.shifts[self.hash(&bytes[end - BLOCK..end])] {
                0 => return Some(end - self.shortest),
                shift => end += usize::from(shift),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_misses_no_place() {
        let forms: BTreeMap<Vec<u8>, usize> =
            ["abcd", "bcdefgh", "zzzzzz"].map(|f| (f.as_bytes().to_vec(), 0)).into();
        let filter = Filter::new(&forms).unwrap();
        for filler in ["", "x", "abc", "zz", "abcabcab"] {
            for form in forms.keys() {
                let text = [filler.as_bytes(), form, b"tail"].concat();
                let mut from = 0;
                let mut places = Vec::new();
                while let Some(at) = filter.next(&text, from) {
                    places.push(at);
                    from = at + 1;
                }
                assert!(places.contains(&filler.len()), "{filler} {places:?}");
            }
        }
        assert_eq!(filter.next(b"abc", 0), None);
    }

    #[test]
    fn forms_inside_of_each_other_are_all_found() {
        let forms: BTreeMap<Vec<u8>, usize> =
            ["abcd", "abcdef", "cdefgh"].map(|f| (f.as_bytes().to_vec(), 0)).into();
        let search = Search::new(&forms, &["s".into()], 6).unwrap();
        let mut found = Vec::new();
        search.find(b"xabcdefghx", &mut found);
        let ranges: Vec<_> = found.into_iter().map(|f| f.range).collect();
        assert_eq!(ranges, [1..5, 1..7, 3..9]);
    }
}
