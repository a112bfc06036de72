//! Compares what the parser makes of the labelled plans with their labels.
//!
//! Used by the tests, which hold the figures up, and by the benchmark, which prints them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use orchestration::plan::{self, PlanError, Target, Verdict};
use serde::Deserialize;

#[derive(Deserialize)]
struct Label {
    outcome: String,
    title: Option<String>,
    #[serde(default)]
    tasks: Vec<LabelledTask>,
    #[serde(default)]
    dependencies: Vec<(u32, LabelledTarget)>,
    #[serde(default)]
    overlaps: Vec<(u32, u32, String)>,
    verdict: Option<Verdict>,
}

#[derive(Deserialize)]
struct LabelledTask {
    title: String,
    adopts: Option<String>,
}

#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord, Clone, Debug)]
#[serde(untagged)]
enum LabelledTarget {
    Task(u32),
    Issue(String),
}

/// What the parser made of one document, compared with its label.
struct Scored {
    name: String,
    expected: usize,
    found: usize,
    matched: usize,
    /// Empty where the document is wholly right.
    faults: Vec<String>,
}

/// The figures of one folder of plans.
pub(crate) struct Score {
    documents: Vec<Scored>,
}

impl Score {
    pub(crate) fn f1(&self) -> f64 {
        let sum =
            |count: fn(&Scored) -> usize| self.documents.iter().map(count).sum::<usize>() as f64;
        2.0 * sum(|one| one.matched) / (sum(|one| one.expected) + sum(|one| one.found))
    }

    pub(crate) fn wholly_right(&self) -> f64 {
        let right = self
            .documents
            .iter()
            .filter(|one| one.faults.is_empty())
            .count();
        right as f64 / self.documents.len() as f64
    }

    pub(crate) fn line(&self, folder: &str) -> String {
        format!(
            "{folder}: {} documents, F1 of titles {:.3}, wholly right {:.1}%",
            self.documents.len(),
            self.f1(),
            100.0 * self.wholly_right()
        )
    }

    pub(crate) fn details(&self) -> String {
        let mut out = String::new();
        for one in self.documents.iter().filter(|one| !one.faults.is_empty()) {
            let _ = write!(out, "\n{}\n  {}", one.name, one.faults.join("\n  "));
        }
        out
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/plans")
        .join(name)
}

pub(crate) fn score(name: &str) -> Score {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    let documents: Vec<Scored> = paths.iter().map(|path| judge(path)).collect();
    assert!(
        documents.len() >= 30,
        "the corpus is missing from {}",
        folder(name).display()
    );
    Score { documents }
}

#[expect(clippy::too_many_lines, reason = "one comparison after the other")]
fn judge(path: &Path) -> Scored {
    let text = fs::read_to_string(path).unwrap();
    let label: Label =
        serde_json::from_str(&fs::read_to_string(path.with_extension("json")).unwrap()).unwrap();
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut faults = Vec::new();
    let parsed = plan::parse(&text, None);
    let outcome = match &parsed {
        Ok(_) => "tasks",
        Err(PlanError::NoTasks) => "none",
        Err(PlanError::AllDone { .. }) => "done",
    };
    if outcome != label.outcome {
        faults.push(format!("outcome {outcome}, not {}", label.outcome));
    }
    let Ok(parsed) = parsed else {
        return Scored {
            name,
            expected: label.tasks.len(),
            found: 0,
            matched: 0,
            faults,
        };
    };
    if label.outcome == "tasks" && parsed.title != label.title {
        faults.push(format!("title {:?}, not {:?}", parsed.title, label.title));
    }
    let adopts: Vec<Option<String>> = parsed
        .tasks
        .iter()
        .map(|task| task.adopts.as_ref().map(ToString::to_string))
        .collect();
    let mut left: Vec<&LabelledTask> = label.tasks.iter().collect();
    let mut matched = 0;
    for (task, adopts) in parsed.tasks.iter().zip(&adopts) {
        let same = |wanted: &&LabelledTask| {
            wanted.title == task.title
                || (wanted.adopts.is_some()
                    && wanted.adopts == *adopts
                    && is_reference(&wanted.title))
        };
        if let Some(at) = left.iter().position(same) {
            if left[at].adopts != *adopts {
                faults.push(format!(
                    "{:?} adopts {adopts:?}, not {:?}",
                    task.title, left[at].adopts
                ));
            }
            left.remove(at);
            matched += 1;
        } else {
            faults.push(format!("surplus {:?}", task.title));
        }
    }
    faults.extend(left.iter().map(|task| format!("missing {:?}", task.title)));

    let validation = plan::validate(&parsed, None);
    let wanted: BTreeSet<(u32, LabelledTarget)> = label.dependencies.iter().cloned().collect();
    let given: BTreeSet<(u32, LabelledTarget)> = validation
        .dependencies
        .iter()
        .map(|dependency| {
            let to = match &dependency.to {
                Target::Task(task) => LabelledTarget::Task(*task),
                Target::Issue(issue) => LabelledTarget::Issue(issue.to_string()),
            };
            (dependency.from, to)
        })
        .collect();
    if wanted != given {
        let reasons: Vec<&str> = validation
            .dependencies
            .iter()
            .map(|dependency| dependency.reason.as_str())
            .collect();
        faults.push(format!(
            "dependencies {given:?}, not {wanted:?}: {reasons:?}"
        ));
    }
    let wanted: BTreeSet<(u32, u32)> = label.overlaps.iter().map(|&(a, b, _)| (a, b)).collect();
    let given: BTreeSet<(u32, u32)> = validation
        .overlaps
        .iter()
        .map(|overlap| (overlap.a, overlap.b))
        .collect();
    let named = label.overlaps.iter().all(|(a, b, path)| {
        validation
            .overlaps
            .iter()
            .any(|overlap| overlap.a == *a && overlap.b == *b && overlap.path == *path)
    });
    if wanted != given || !named {
        faults.push(format!(
            "overlaps {:?}, not {:?}",
            validation.overlaps, label.overlaps
        ));
    }
    if label
        .verdict
        .is_some_and(|verdict| verdict != validation.verdict)
    {
        faults.push(format!(
            "verdict {:?}, not {:?}",
            validation.verdict, label.verdict
        ));
    }
    Scored {
        name,
        expected: label.tasks.len(),
        found: parsed.tasks.len(),
        matched,
        faults,
    }
}

/// A title that is nothing but a reference: how it is spelled does not matter.
fn is_reference(title: &str) -> bool {
    !title.contains(' ') && title.contains('#')
}
