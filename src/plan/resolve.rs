//! From what a plan says about order to dependencies between its tasks.
//!
//! Pure. [`super::ordering`] reads the words; here the numbers and names in them find their tasks.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use super::heading::is_unspaced;
use super::ordering::{self, Sharing, Statement};
use super::outline::{Found, Phase};
use super::reference::Named;
use super::task::{Dependency, Shared, Target, Task};
use super::title::Title;
use super::words;

/// A task or a finished item, while the plan is being read.
#[derive(Debug)]
pub(super) struct Entry<'o> {
    pub(super) found: &'o Found,
    /// Without its text once it is a task, which has that then.
    pub(super) title: Title,
    /// Its number among the tasks; `None` for finished items.
    pub(super) index: Option<u32>,
}

/// What the texts of a plan say about its tasks: who waits for whom, and who shares code.
#[derive(Default)]
pub(super) struct Said {
    /// Statements of order, with the entry whose text they are in.
    order: Vec<(Option<usize>, Statement)>,
    /// Statements of shared code: those in the text of an entry, and those outside of all.
    own_sharing: Vec<(Option<usize>, Sharing)>,
    sharing: Vec<(Option<usize>, Sharing)>,
    /// The text that is being read, in lower case.
    lower: String,
}

impl Said {
    /// Reads the text of the entry at `at`. A finished item waits for nothing any more.
    pub(super) fn by_entry(&mut self, at: usize, is_task: bool, text: &str) {
        self.take_up(text);
        let sharing = ordering::shared(&self.lower);
        self.own_sharing
            .extend(sharing.into_iter().map(|said| (Some(at), said)));
        if is_task {
            let order = ordering::statements(&self.lower);
            self.order
                .extend(order.into_iter().map(|said| (Some(at), said)));
        }
    }

    /// Reads a text that belongs to no entry: it has to name both sides.
    pub(super) fn by_prose(&mut self, text: &str) {
        self.take_up(text);
        let sharing = ordering::shared(&self.lower);
        self.sharing
            .extend(sharing.into_iter().map(|said| (None, said)));
        let order = ordering::statements(&self.lower);
        self.order.extend(
            order
                .into_iter()
                .filter(|said| !said.subjects.is_empty() && !said.objects.is_empty())
                .map(|said| (None, said)),
        );
    }

    /// Takes the place of the text before, whose memory is used again.
    fn take_up(&mut self, text: &str) {
        if text.is_ascii() {
            self.lower.clear();
            self.lower.push_str(text);
            self.lower.make_ascii_lowercase();
        } else {
            self.lower = text.to_lowercase();
        }
    }
}

/// Beyond so many dependencies between one pair of phases, the last task of the earlier phase stands
/// for all of them, so that hostile plans stay linear.
const MAX_FAN: usize = 4096;

/// The same for the whole plan: "all of the above" then means the task above.
const MAX_TOTAL: usize = 100_000;

/// Fills in [`Task::depends_on`], and returns what the plan says about shared code.
pub(super) fn dependencies(
    tasks: &mut [Task],
    entries: &[Entry<'_>],
    phases: &[Phase],
    said: Said,
) -> Vec<Shared> {
    let mut resolver = Resolver::new(entries, phases, tasks);
    for (own, statement) in &said.order {
        resolver.apply(*own, statement);
    }
    resolver.phase_order();
    resolver.sequences();
    let shared = resolver.shared(said.sharing.into_iter().chain(said.own_sharing));
    for (from, to, reason) in resolver.found {
        if let Some(task) = tasks.get_mut(from as usize - 1) {
            task.depends_on.push(Dependency { from, to, reason });
        }
    }
    for task in tasks {
        task.depends_on.sort_by(|a, b| a.to.cmp(&b.to));
    }
    shared
}

fn title<'a>(entry: &'a Entry<'_>, tasks: &'a [Task]) -> &'a str {
    match entry.index {
        Some(index) => &tasks[index as usize - 1].title,
        None => &entry.title.text,
    }
}

struct Resolver<'a, 'o> {
    entries: &'a [Entry<'o>],
    phases: &'a [Phase],
    tasks: &'a [Task],
    /// Built once a plan refers to a task; most never do.
    index: OnceCell<Index<'a>>,
    /// Built once a plan refers to a task by its name.
    names: OnceCell<Names>,
    seen: HashSet<(u32, Target)>,
    found: Vec<(u32, Target, String)>,
}

/// Where the entries of a plan are found by what refers to them.
struct Index<'a> {
    /// Entries by their label, in the whole plan.
    labels: HashMap<String, Vec<usize>>,
    /// Entries by their list or section and their label in it.
    grouped: HashMap<(usize, String), usize>,
    /// Entries by the label of their phase.
    by_phase: HashMap<&'a str, Vec<usize>>,
    /// Entries by the issue that they adopt.
    adopted: HashMap<String, usize>,
}

impl<'a> Index<'a> {
    fn new(entries: &[Entry<'_>], phases: &'a [Phase], tasks: &[Task]) -> Self {
        let mut index = Self {
            labels: HashMap::new(),
            grouped: HashMap::new(),
            by_phase: HashMap::new(),
            adopted: HashMap::new(),
        };
        for (at, entry) in entries.iter().enumerate() {
            let mut own: Vec<String> = entry
                .title
                .label
                .iter()
                .map(|label| label.to_lowercase())
                .collect();
            if own.is_empty() {
                own.extend(entry.found.ordinal.map(|n| n.to_string()));
            }
            own.extend(ticket_key(title(entry, tasks)));
            for label in own {
                index
                    .grouped
                    .entry((entry.found.group, label.clone()))
                    .or_insert(at);
                index.labels.entry(label).or_default().push(at);
            }
            if let Some(phase) = entry.found.phase {
                let label = phases[phase].label.as_str();
                index.by_phase.entry(label).or_default().push(at);
            }
            if let Some(issue) = &entry.title.adopts {
                index.adopted.insert(issue.to_string(), at);
            }
        }
        index
    }
}

impl<'a, 'o> Resolver<'a, 'o> {
    fn new(entries: &'a [Entry<'o>], phases: &'a [Phase], tasks: &'a [Task]) -> Self {
        Self {
            entries,
            phases,
            tasks,
            index: OnceCell::new(),
            names: OnceCell::new(),
            seen: HashSet::new(),
            found: Vec::new(),
        }
    }

    fn index(&self) -> &Index<'a> {
        self.index
            .get_or_init(|| Index::new(self.entries, self.phases, self.tasks))
    }

    /// What the plan says about shared code.
    fn shared(&self, sharing: impl Iterator<Item = (Option<usize>, Sharing)>) -> Vec<Shared> {
        let mut found = Vec::new();
        for (own, said) in sharing {
            let mut tasks: Vec<u32> = self
                .side(own, &said.tasks)
                .into_iter()
                .filter_map(|side| match side {
                    Side::Entry(at) => self.entries[at].index,
                    Side::Issue(_) => None,
                })
                .collect();
            tasks.sort_unstable();
            tasks.dedup();
            if tasks.len() > 1 {
                found.push(Shared {
                    tasks,
                    what: said.what,
                    words: said.words,
                });
            }
        }
        found
    }

    /// Records what a statement says; `own` is the task whose text it is in.
    fn apply(&mut self, own: Option<usize>, statement: &Statement) {
        let subjects = self.side(own, &statement.subjects);
        let objects = self.side(own, &statement.objects);
        for subject in &subjects {
            for object in &objects {
                let Side::Entry(subject) = *subject else {
                    continue;
                };
                match object {
                    Side::Entry(object) => self.add(subject, *object, &statement.reason),
                    Side::Issue(issue) => {
                        self.add_target(subject, Target::Issue(issue.clone()), &statement.reason);
                    }
                }
            }
        }
    }

    fn side(&self, own: Option<usize>, named: &[Named]) -> Vec<Side> {
        if named.is_empty() {
            return own.map(Side::Entry).into_iter().collect();
        }
        let mut sides = Vec::new();
        for named in named {
            match named {
                Named::Issue(issue) => match self.index().adopted.get(&issue.to_string()) {
                    Some(&at) => sides.push(Side::Entry(at)),
                    None => sides.push(Side::Issue(issue.clone())),
                },
                Named::Task(label) => sides.extend(self.by_label(own, label).map(Side::Entry)),
                Named::Phase(label) => {
                    let own_phase = own.and_then(|own| self.entries[own].found.phase);
                    let is_own = own_phase.is_some_and(|phase| self.phases[phase].label == *label);
                    match self.index().by_phase.get(label.as_str()) {
                        None => sides.extend(self.by_label(own, label).map(Side::Entry)),
                        Some(_) if is_own => {}
                        Some(all) => {
                            sides.extend(self.nearest(all).iter().copied().map(Side::Entry));
                        }
                    }
                }
                Named::Previous => {
                    sides.extend(own.and_then(|own| own.checked_sub(1)).map(Side::Entry));
                }
                Named::AllPrevious => {
                    if let Some(own) = own {
                        let from = if self.found.len() < MAX_TOTAL {
                            0
                        } else {
                            own.saturating_sub(1)
                        };
                        sides.extend((from..own).map(Side::Entry));
                    }
                }
                Named::Name(name) => sides.extend(self.by_name(own, name).map(Side::Entry)),
            }
        }
        sides
    }

    /// All of these, or only the last one where too many dependencies are known already.
    fn nearest<'e>(&self, all: &'e [usize]) -> &'e [usize] {
        if self.found.len() < MAX_TOTAL && all.len() <= MAX_FAN {
            all
        } else {
            &all[all.len() - 1..]
        }
    }

    fn by_label(&self, own: Option<usize>, label: &str) -> Option<usize> {
        let index = self.index();
        if let Some(own) = own {
            let group = self.entries[own].found.group;
            if let Some(&at) = index.grouped.get(&(group, label.to_owned())) {
                return Some(at);
            }
        }
        if let Some(&[only]) = index.labels.get(label).map(Vec::as_slice) {
            return Some(only);
        }
        let number: usize = label.parse().ok()?;
        let has_labels = index.labels.contains_key("1");
        (!has_labels && (1..=self.entries.len()).contains(&number)).then(|| number - 1)
    }

    /// The one entry whose title has all the words of a name.
    fn by_name(&self, own: Option<usize>, name: &str) -> Option<usize> {
        if name.chars().any(is_unspaced) {
            return self.by_unspaced_name(own, name);
        }
        let names = self
            .names
            .get_or_init(|| Names::new(self.entries, self.tasks));
        let stems = content(name);
        for length in (1..=stems.len().min(10)).rev() {
            let wanted = &stems[..length];
            let rarest = wanted
                .iter()
                .map(|stem| names.stems.get(stem))
                .min_by_key(|found| found.map_or(0, Vec::len))?;
            let Some(candidates) = rarest else { continue };
            if candidates.len() > 64 {
                continue;
            }
            let fits: Vec<usize> = candidates
                .iter()
                .copied()
                .filter(|&at| Some(at) != own)
                .filter(|&at| {
                    wanted.iter().all(|stem| {
                        names
                            .stems
                            .get(stem)
                            .is_some_and(|found| found.binary_search(&at).is_ok())
                    })
                })
                .collect();
            if let [only] = fits[..] {
                let title = names.lengths[only];
                if length == stems.len() || length >= 2 || title == length {
                    return Some(only);
                }
            }
            // Of several, the one that has hardly any other words.
            let shortest = fits
                .iter()
                .copied()
                .filter(|&at| names.lengths[at] <= length + 1)
                .collect::<Vec<_>>();
            if length >= 2
                && let [only] = shortest[..]
            {
                return Some(only);
            }
        }
        None
    }

    fn by_unspaced_name(&self, own: Option<usize>, name: &str) -> Option<usize> {
        let name = name.trim_matches(|c: char| !c.is_alphanumeric());
        if name.chars().count() < 2 || self.entries.len() > 2000 {
            return None;
        }
        let fits: Vec<usize> = (0..self.entries.len())
            .filter(|&at| Some(at) != own)
            .filter(|&at| {
                let title = title(&self.entries[at], self.tasks).to_lowercase();
                title.contains(name) || (title.chars().count() >= 3 && name.contains(&title))
            })
            .collect();
        match fits[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    fn add(&mut self, subject: usize, object: usize, reason: &str) {
        if let Some(to) = self.entries[object].index
            && subject != object
        {
            self.add_target(subject, Target::Task(to), reason);
        }
    }

    fn add_target(&mut self, subject: usize, to: Target, reason: &str) {
        if let Some(from) = self.entries[subject].index
            && self.seen.insert((from, to.clone()))
        {
            self.found.push((from, to, reason.to_owned()));
        }
    }

    /// The tasks of a phase wait for those of the one before it.
    fn phase_order(&mut self) {
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); self.phases.len()];
        for (at, entry) in self.entries.iter().enumerate() {
            if let (Some(phase), Some(_)) = (entry.found.phase, entry.index) {
                members[phase].push(at);
            }
        }
        let mut last: HashMap<usize, usize> = HashMap::new();
        for phase in 0..self.phases.len() {
            if members[phase].is_empty() {
                continue;
            }
            let parent = self.phases[phase].parent;
            if let Some(&before) = last.get(&parent)
                && self.phases[before].label != self.phases[phase].label
            {
                let reason = format!(
                    "phase {} comes after phase {}",
                    self.phases[phase].label, self.phases[before].label
                );
                let few = members[phase].len() * members[before].len() <= MAX_FAN
                    && self.found.len() < MAX_TOTAL;
                let earlier = if few {
                    &members[before][..]
                } else {
                    &members[before][members[before].len() - 1..]
                };
                let earlier = earlier.to_vec();
                for subject in members[phase].clone() {
                    for &object in &earlier {
                        self.add(subject, object, &reason);
                    }
                }
            }
            last.insert(parent, phase);
        }
        let mut before: HashMap<usize, (usize, String)> = HashMap::new();
        for at in 0..self.entries.len() {
            let entry = &self.entries[at];
            if entry.index.is_none() || !entry.title.is_phase {
                continue;
            }
            let Some(number) = &entry.title.label else {
                continue;
            };
            let group = entry.found.group;
            if let Some((object, label)) = before.get(&group).cloned()
                && label != *number
            {
                self.add(
                    at,
                    object,
                    &format!("phase {number} comes after phase {label}"),
                );
            }
            before.insert(group, (at, number.clone()));
        }
    }

    /// Tasks of which the plan says that they run in order.
    fn sequences(&mut self) {
        let mut last: HashMap<usize, usize> = HashMap::new();
        for at in 0..self.entries.len() {
            let Some(sequence) = self.entries[at].found.sequence else {
                continue;
            };
            if self.entries[at].index.is_none() {
                continue;
            }
            if let Some(before) = last.insert(sequence, at) {
                self.add(at, before, "the plan says that these run in order");
            }
        }
    }
}

/// The titles of all entries by their words.
struct Names {
    /// How many meaningful words each title has.
    lengths: Vec<usize>,
    /// Entries by the stems of those words, ascending.
    stems: HashMap<String, Vec<usize>>,
}

impl Names {
    fn new(entries: &[Entry<'_>], tasks: &[Task]) -> Self {
        let mut lengths = Vec::with_capacity(entries.len());
        let mut stems: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, entry) in entries.iter().enumerate() {
            let words = content(&title(entry, tasks).to_lowercase());
            lengths.push(words.len());
            for stem in words {
                let found = stems.entry(stem).or_default();
                if found.last() != Some(&at) {
                    found.push(at);
                }
            }
        }
        Self { lengths, stems }
    }
}

enum Side {
    Entry(usize),
    Issue(super::title::IssueRef),
}

/// `CHK-881` at the start of a title.
fn ticket_key(title: &str) -> Option<String> {
    let word = title.split([' ', ':']).next()?;
    let (letters, digits) = word.split_once('-')?;
    let fits = (2..=10).contains(&letters.len())
        && letters.bytes().all(|byte| byte.is_ascii_uppercase())
        && !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| word.to_lowercase())
}

/// The stems of the words of a lower-case text that carry meaning.
fn content(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty() && !words::STOP_WORDS.contains(word))
        .map(stem)
        .collect()
}

/// A crude stem: enough for plurals and cases.
fn stem(word: &str) -> String {
    let count = word.chars().count();
    if count <= 3 || word.chars().any(is_unspaced) {
        return word.to_owned();
    }
    if word.is_ascii() {
        let word = word.strip_suffix("ies").map_or_else(
            || {
                word.strip_suffix("es")
                    .filter(|word| word.ends_with(['s', 'x', 'h']))
                    .or_else(|| word.strip_suffix('s').filter(|word| !word.ends_with('s')))
                    .unwrap_or(word)
                    .to_owned()
            },
            |stem| format!("{stem}y"),
        );
        return word;
    }
    // Inflected languages: cut the ending.
    let keep = if count > 6 { count - 2 } else { count - 1 };
    word.chars().take(keep).collect()
}
