//! Where in a shell command a value stands: as a word of its own, or where quoting can't protect.
//!
//! Owns just enough of POSIX shell's lexing (XCU 2.2 and 2.3) to tell. A value is quoted as one
//! word, which is right only outside of quotes: within the author's own quotes, the two would
//! cancel out and the value would run. Must not know templates.

/// Why a value must not stand at some place of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Danger {
    SingleQuotes,
    DoubleQuotes,
    Backquotes,
    Comment,
    Arithmetic,
    HereDocument,
    /// Right behind a backslash or `$`, which would take the value's opening quote away.
    Escape,
    /// In front of `<` or `>`, where a number would become a file descriptor.
    Redirection,
}

impl Danger {
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::SingleQuotes => "a value stands inside single quotes",
            Self::DoubleQuotes => "a value stands inside double quotes",
            Self::Backquotes => "a value stands inside backquotes",
            Self::Comment => "a value stands inside a shell comment",
            Self::Arithmetic => "a value stands inside shell arithmetic",
            Self::HereDocument => "a value stands inside a here-document",
            Self::Escape => "a value stands right behind a `\\` or `$`",
            Self::Redirection => "a value stands right in front of a redirection",
        }
    }

    pub(super) fn help(self) -> &'static str {
        match self {
            Self::SingleQuotes | Self::DoubleQuotes => {
                "leave the quotes out: the value is quoted for you"
            }
            Self::Backquotes => "write `$(…)` instead of backquotes",
            Self::Comment => "take the value out of the comment",
            Self::Arithmetic => "calculate in the template: `{{ a + b }}`",
            Self::HereDocument => "pass the text with `stdin`",
            Self::Escape => "leave the character in front of the value out",
            Self::Redirection => "put a space between the value and the redirection",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    /// Outside of quotes: at the top, or in `$(…)` and `(…)`.
    Bare,
    Single,
    /// `$'…'`, in which a backslash escapes.
    Dollar,
    Double,
    Back,
    Comment,
    /// `$((…))`.
    Arithmetic,
    /// `${…}`.
    Expansion,
    HereDocument,
}

/// The state of a shell's lexer somewhere in a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lexer {
    contexts: Vec<Context>,
    /// The character before, unless it was escaped.
    last: Option<char>,
    /// A backslash stands before.
    escaped: bool,
    /// Delimiters of here-documents that begin on the next line.
    pending: Vec<String>,
    /// What ends the here-document that this is in, and the line so far.
    ends: Vec<String>,
    line: String,
}

impl Lexer {
    pub(super) fn new() -> Self {
        Self {
            contexts: vec![Context::Bare],
            last: None,
            escaped: false,
            pending: Vec::new(),
            ends: Vec::new(),
            line: String::new(),
        }
    }

    fn context(&self) -> Context {
        self.contexts.last().copied().unwrap_or(Context::Bare)
    }

    /// What is wrong with a value here, if anything is.
    pub(super) fn danger(&self) -> Option<Danger> {
        if self.contexts.contains(&Context::Back) {
            // The closing backquote is looked for first, also inside of the value's quotes.
            return Some(Danger::Backquotes);
        }
        match self.context() {
            Context::Single | Context::Dollar => Some(Danger::SingleQuotes),
            Context::Double => Some(Danger::DoubleQuotes),
            Context::Back => Some(Danger::Backquotes),
            Context::Comment => Some(Danger::Comment),
            Context::Arithmetic => Some(Danger::Arithmetic),
            Context::HereDocument => Some(Danger::HereDocument),
            Context::Expansion if self.contexts.contains(&Context::Double) => {
                Some(Danger::DoubleQuotes)
            }
            Context::Bare | Context::Expansion => {
                (self.escaped || self.last == Some('$')).then_some(Danger::Escape)
            }
        }
    }

    /// Goes over a value: one word, whatever is in it.
    pub(super) fn value(&mut self) {
        self.last = Some('x');
        self.escaped = false;
    }

    /// Goes over text that the author wrote.
    pub(super) fn text(&mut self, text: &str) {
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            if self.context() == Context::HereDocument {
                self.here_document(c);
                continue;
            }
            if c == '<' && self.context() == Context::Bare && rest.peek() == Some(&'<') {
                rest.next();
                if rest.peek() == Some(&'<') {
                    // `<<<` gives a word, and values may be words.
                    rest.next();
                    self.last = Some('<');
                } else if self.last.is_none_or(|l| l != '<') {
                    let delimiter = delimiter(&mut rest);
                    self.pending.push(delimiter);
                    self.last = Some('x');
                }
                continue;
            }
            self.character(c, rest.peek().copied());
        }
    }

    fn here_document(&mut self, c: char) {
        if c != '\n' {
            self.line.push(c);
            return;
        }
        let line = std::mem::take(&mut self.line);
        if self.ends.first().is_some_and(|end| *end == line.trim_start_matches('\t')) {
            self.ends.remove(0);
        }
        if self.ends.is_empty() {
            self.contexts.pop();
            self.last = Some('\n');
        }
    }

    fn character(&mut self, c: char, next: Option<char>) {
        let context = self.context();
        let last = self.last.replace(c);
        if std::mem::take(&mut self.escaped) {
            self.last = Some('x');
            return;
        }
        if c == '\\' && !matches!(context, Context::Single | Context::Comment) {
            self.escaped = true;
            return;
        }
        match (context, c) {
            (Context::Single | Context::Dollar, '\'')
            | (Context::Double, '"')
            | (Context::Back, '`')
            | (Context::Expansion, '}') => self.leave(),
            (Context::Comment, '\n') => {
                self.leave();
                self.line_ends();
            }
            (Context::Single | Context::Dollar | Context::Comment | Context::HereDocument, _) => {}
            (Context::Arithmetic, ')') => self.leave(),
            (Context::Arithmetic, '(') => self.contexts.push(Context::Arithmetic),
            (_, '`') => self.contexts.push(Context::Back),
            (_, '(') if last == Some('$') && next == Some('(') => {
                self.contexts.push(Context::Arithmetic);
            }
            (_, '(') if last == Some('$') => self.enter_bare(),
            (_, '{') if last == Some('$') => self.contexts.push(Context::Expansion),
            (Context::Double, _) => {}
            (_, '"') => self.contexts.push(Context::Double),
            (Context::Expansion, '\'') if self.contexts.contains(&Context::Double) => {}
            (_, '\'') if last == Some('$') => self.contexts.push(Context::Dollar),
            (_, '\'') => self.contexts.push(Context::Single),
            // `((…))` as a command is arithmetic too, but `( (…) )` is not.
            (Context::Bare, '(') if next == Some('(') && last != Some('(') => {
                self.contexts.push(Context::Arithmetic);
            }
            (Context::Bare, '(') => self.enter_bare(),
            (Context::Bare, ')') if self.contexts.len() > 1 => self.leave(),
            (Context::Bare | Context::Back, '#')
                if last.is_none_or(|l| l.is_whitespace() || ";|&()`".contains(l)) =>
            {
                self.contexts.push(Context::Comment);
            }
            (_, '\n') => self.line_ends(),
            _ => {}
        }
    }

    fn enter_bare(&mut self) {
        self.contexts.push(Context::Bare);
        self.last = Some('(');
    }

    /// A closed quote or bracket is part of a word, whatever character ended it.
    fn leave(&mut self) {
        if self.contexts.len() > 1 {
            self.contexts.pop();
        }
        self.last = Some('x');
    }

    fn line_ends(&mut self) {
        self.last = Some('\n');
        if !self.pending.is_empty() {
            self.ends = std::mem::take(&mut self.pending);
            self.contexts.push(Context::HereDocument);
        }
    }
}

/// The word behind `<<`, without its quotes.
fn delimiter(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    if rest.peek() == Some(&'-') {
        rest.next();
    }
    while rest.peek().is_some_and(|c| *c == ' ' || *c == '\t') {
        rest.next();
    }
    let mut word = String::new();
    let mut quote = None;
    while let Some(c) = rest.peek().copied() {
        let ends = c.is_whitespace() || ";|&<>()".contains(c);
        if c == '\n' || (quote.is_none() && ends) {
            break;
        }
        rest.next();
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, '\\') => {}
            _ => word.push(c),
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The danger at the `@` in a command.
    fn danger(command: &str) -> Option<Danger> {
        let (before, _) = command.split_once('@').unwrap();
        let mut lexer = Lexer::new();
        lexer.text(before);
        lexer.danger()
    }

    #[test]
    fn values_may_stand_where_words_may() {
        for command in [
            "grep @ file",
            "set --retries=@",
            "echo 'quoted' @",
            "echo \"quoted\"@",
            "echo \"$(grep @ file)\"",
            "echo it\\'s @",
            "x=$(cat @)",
            "(cd @ && ls)",
            "echo a#b @",
            "# comment\necho @",
            "cat <<EOF\nit's\nEOF\necho @",
            "cat <<-'EOF' | tr a b\n\tit's\n\tEOF\necho @",
            "cat <<< @",
            "echo $((1 + 2)) @",
            "((i = i + 1)); echo @",
            "echo ${x:-@}",
            "echo $'it\\'s' @",
            "echo `date` @",
            "case x in a) echo @;; esac",
        ] {
            assert_eq!(danger(command), None, "{command}");
        }
    }

    #[test]
    fn values_may_not_stand_where_quoting_fails() {
        for (command, expected) in [
            ("echo '@'", Danger::SingleQuotes),
            ("echo 'a @'", Danger::SingleQuotes),
            ("echo $'\\'@'", Danger::SingleQuotes),
            ("echo \"@\"", Danger::DoubleQuotes),
            ("echo \"it's @\"", Danger::DoubleQuotes),
            ("echo \"a\\\"@\"", Danger::DoubleQuotes),
            ("echo \"${x:-@}\"", Danger::DoubleQuotes),
            ("bash -c \"$(echo 'x @')\"", Danger::SingleQuotes),
            ("echo `cat @`", Danger::Backquotes),
            ("echo `cat $(ls @)`", Danger::Backquotes),
            ("ls # about @", Danger::Comment),
            ("#@", Danger::Comment),
            ("echo $((1 + @))", Danger::Arithmetic),
            ("((x = @))", Danger::Arithmetic),
            ("cat <<EOF\n@\nEOF", Danger::HereDocument),
            ("cat <<'A B' <<C\nx\n@", Danger::HereDocument),
            ("echo \\@", Danger::Escape),
            ("echo $@", Danger::Escape),
        ] {
            assert_eq!(danger(command), Some(expected), "{command}");
        }
    }
}
