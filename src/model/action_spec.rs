//! What an action is, as data: help, documentation, schema and checks are derived from it.

/// Everything there is to know about an action without running it.
#[derive(Clone, Debug, Default)]
pub struct ActionSpec {
    /// `family.verb`, as runbooks write it.
    pub name: String,
    /// One line.
    pub summary: String,
    /// The manual, in Markdown: when to use it, what it guards against, what it does not do.
    pub manual: String,
    /// What the `on:` argument must name.
    pub target: Option<TargetKind>,
    /// The arguments, `on` included where there is one.
    pub arguments: Vec<Argument>,
    /// What later steps can use.
    pub result: Vec<Field>,
    /// Does it read or change?
    pub effect: EffectRule,
    /// What it knows how to do besides running.
    pub abilities: Abilities,
    /// Steps that a reader can copy. Each is validated by a test.
    pub examples: Vec<Example>,
}

impl ActionSpec {
    /// The argument of this name.
    pub fn argument(&self, name: &str) -> Option<&Argument> {
        self.arguments.iter().find(|a| a.name == name)
    }
}

/// What kind of target an action works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// A database.
    Sql,
    /// An HTTP service.
    Http,
    /// Hosts over SSH.
    Ssh,
}

/// One argument.
#[derive(Clone, Debug)]
pub struct Argument {
    /// Its key.
    pub name: String,
    /// What may stand there.
    pub kind: ArgumentKind,
    /// Must it be there?
    pub required: bool,
    /// One line; says the unit and the default.
    pub summary: String,
}

/// What may stand in an argument, and how templates in it are rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    /// The name of a target; fixed, no template.
    Target,
    /// Text; templates are filled in as they are.
    Text,
    /// Text that must be fixed when the runbook is read: it decides the effect.
    Fixed(Vec<&'static str>),
    /// A command line for a POSIX shell: every template becomes exactly one word.
    Command,
    /// SQL: no templates but `| ident`; values go through `params`.
    Sql,
    /// The name of a table or column.
    Identifier,
    /// A path or query of a URL: every template is percent-encoded.
    UrlPath,
    /// A whole number.
    Integer,
    /// True or false, fixed when the runbook is read.
    Flag,
    /// A span of time such as `30s`.
    Duration,
    /// A list of any values.
    List,
    /// A map of any values.
    Map,
    /// Anything.
    Any,
    /// A script: the text is code and takes no templates.
    Script,
    /// `N` or `{max: N}`: how many rows may be changed.
    Rows,
}

/// One field of a result.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its key.
    pub name: String,
    /// Its type, in words (`list of maps`).
    pub kind: String,
    /// One line.
    pub summary: String,
    /// Differs between two looks at one unchanged state (timings, dates in headers), so that it
    /// does not count when two states are compared.
    pub volatile: bool,
}

/// Does it read or change? Decided by the action, never by the runbook's good word alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EffectRule {
    /// Always reads.
    Read,
    /// Always changes, and cannot undo by itself.
    #[default]
    Change,
    /// Changes, and can capture, apply and undo by itself.
    Reversible,
    /// Reads when the fixed argument has one of these values (`true`, `GET`), else changes. An
    /// absent argument counts as `default`.
    ReadsWhen {
        /// The argument that decides.
        argument: &'static str,
        /// Its values that mean reading.
        values: &'static [&'static str],
        /// What its absence means.
        default: &'static str,
    },
}

/// What an action does in one call of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Reads.
    Read,
    /// Changes something that it can't put back by itself.
    Change,
    /// Changes something that it can put back by itself.
    Reversible,
}

/// What an action knows how to do besides running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Capture the state that it is about to change.
    pub capture: bool,
    /// Say beforehand what will differ.
    pub preview: bool,
    /// Put back what it changed.
    pub undo: bool,
}

/// A step to copy.
#[derive(Clone, Debug)]
pub struct Example {
    /// What it does.
    pub title: String,
    /// The step, from `- id:` on.
    pub yaml: String,
}

/// An argument, in one line of an action's file.
pub fn argument(name: &str, kind: ArgumentKind, required: bool, summary: &str) -> Argument {
    Argument { name: name.into(), kind, required, summary: summary.into() }
}

/// A result's field, in one line of an action's file.
pub fn field(name: &str, kind: &str, summary: &str) -> Field {
    Field { name: name.into(), kind: kind.into(), summary: summary.into(), volatile: false }
}

/// A result's field that differs between two looks at one unchanged state.
pub fn volatile(name: &str, kind: &str, summary: &str) -> Field {
    Field { volatile: true, ..field(name, kind, summary) }
}

/// An example, in one line of an action's file.
pub fn example(title: &str, yaml: &str) -> Example {
    Example { title: title.into(), yaml: yaml.into() }
}
