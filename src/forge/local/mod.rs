//! The embedded forge: issues and change requests as files that a person can read and edit
//! (DESIGN section 8, "Local forge").
//!
//! | module | what it is | touches |
//! | --- | --- | --- |
//! | [`document`] | the format of a file | nothing |
//! | [`index`] | which markers stand in which file | nothing |
//! | [`store`] | numbers, locks and durable writes | the forge's folder |
//!
//! Nothing outside the forge's folder is read or written, and no process is started.

pub mod document;
pub mod index;
pub mod store;

use std::path::Path;

use jiff::Timestamp;

use self::document::{Comment, Document, Front, Kind};
use self::index::markers;
use self::store::{Store, not_found};
use super::{
    CloseReason, Created, Forge, ForgeError, Issue, Marked, Marker, MarkerKind, NewComment,
    NewIssue, NewPull, Reply, Request, State,
};

/// The clock, which the [`World`](crate::world) owns.
type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// A forge in a folder.
pub struct LocalForge {
    store: Store,
    clock: Clock,
}

impl LocalForge {
    /// A forge in `folder`, which is made with the first object. `shown` is the folder as people
    /// are to read it, relative to the repository.
    pub fn new(
        folder: &Path,
        shown: &str,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self {
            store: Store::new(folder, shown),
            clock: Box::new(clock),
        }
    }

    /// Numbers up to `taken` are in use elsewhere, such as in names of branches, and are not given.
    pub fn after(mut self, taken: u64) -> Self {
        self.store = self.store.after(taken);
        self
    }

    fn now(&self) -> String {
        (self.clock)().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    fn create(&self, marker: &Marker, front: Front, body: &str) -> Result<Created, ForgeError> {
        let store = self.store.lock()?;
        let kind = front.kind;
        // One that was closed is over, but for a master: a plan has one.
        if let Some(mut document) = store.find(kind, marker)?
            && (document.front.state == State::Open || marker.kind == MarkerKind::Master)
        {
            if marker.kind == MarkerKind::Diagnostic {
                // A task that fails again is told by the issue that is open for it.
                document.front.title = front.title;
                document.body = document::tidy(&marker.lead(body));
                store.write(&document)?;
            }
            return Ok(self.created(&document, true));
        }
        let number = store.next_number()?;
        let front = Front {
            number,
            created: Some(self.now()),
            ..front
        };
        let document = Document::new(front, marker.lead(body));
        store.write(&document)?;
        Ok(self.created(&document, false))
    }

    fn create_issue(&self, issue: &NewIssue) -> Result<Created, ForgeError> {
        let front = Front {
            title: issue.title.clone(),
            labels: issue.labels.clone(),
            ..Front::new(Kind::Issue)
        };
        self.create(&issue.marker, front, &issue.body)
    }

    fn create_pull(&self, pull: &NewPull) -> Result<Created, ForgeError> {
        let front = Front {
            title: pull.title.clone(),
            head: Some(pull.head.clone()),
            base: Some(pull.base.clone()),
            commit: Some(pull.commit.clone()),
            draft: pull.draft,
            changes: Some(pull.changes),
            ..Front::new(Kind::Pull)
        };
        self.create(&pull.marker, front, &pull.body)
    }

    fn comment(&self, comment: &NewComment) -> Result<Created, ForgeError> {
        let store = self.store.lock()?;
        let mut document = store.read(Kind::Issue, comment.issue)?;
        let text = document::tidy(&comment.marker.lead(&comment.body));
        let created = |number: u64, existed| Created {
            number,
            url: self.store.shown(Kind::Issue, comment.issue),
            existed,
        };
        let same =
            |old: &&mut Comment| Marker::split(&old.text).0.as_ref() == Some(&comment.marker);
        if let Some(old) = document.comments.iter_mut().find(same) {
            let number = old.number;
            if old.text != text {
                old.text = text;
                store.write(&document)?;
            }
            return Ok(created(number, true));
        }
        let number = document
            .comments
            .iter()
            .map(|old| old.number)
            .max()
            .unwrap_or(0)
            + 1;
        document.comments.push(Comment {
            number,
            time: self.now(),
            text,
        });
        store.write(&document)?;
        Ok(created(number, false))
    }

    fn adopt(
        &self,
        number: u64,
        marker: &Marker,
        labels: &[String],
    ) -> Result<Created, ForgeError> {
        let store = self.store.lock()?;
        let mut document = store.read(Kind::Issue, number)?;
        let before = document.front.clone();
        for label in labels {
            if !document.front.labels.contains(label) {
                document.front.labels.push(label.clone());
            }
        }
        let line = marker.to_comment();
        if !document.front.adopted.contains(&line) {
            document.front.adopted.push(line);
        }
        if document.front != before {
            store.write(&document)?;
        }
        Ok(self.created(&document, true))
    }

    fn issue(&self, number: u64) -> Result<Issue, ForgeError> {
        let Some(store) = self.store.lock_existing()? else {
            let what = format!("issue #{number}");
            return Err(not_found(what));
        };
        let document = store.read(Kind::Issue, number)?;
        let (marker, body) = Marker::split(&document.body);
        Ok(Issue {
            number,
            marker,
            stranger: None,
            body: body.to_owned(),
            url: self.store.shown(Kind::Issue, number),
            title: document.front.title,
            state: document.front.state,
            labels: document.front.labels,
        })
    }

    fn marked(&self, master: &str) -> Result<Vec<Marked>, ForgeError> {
        let mut found = Vec::new();
        let Some(store) = self.store.lock_existing()? else {
            return Ok(found);
        };
        for kind in [Kind::Issue, Kind::Pull] {
            for document in store.read_all(kind)? {
                for marker in markers(&document) {
                    if marker.master == master {
                        found.push(Marked {
                            marker,
                            number: document.front.number,
                            state: document.front.state,
                            url: self.store.shown(kind, document.front.number),
                        });
                    }
                }
            }
        }
        found.sort_by_key(|marked| marked.number);
        Ok(found)
    }

    fn close_marked(&self, marker: &Marker, why: CloseReason) -> Result<Vec<u64>, ForgeError> {
        let mut numbers = Vec::new();
        for found in self.marked(&marker.master)? {
            if found.marker == *marker && found.state == State::Open {
                self.close(found.number, why)?;
                numbers.push(found.number);
            }
        }
        Ok(numbers)
    }

    fn close(&self, number: u64, why: CloseReason) -> Result<(), ForgeError> {
        let store = self.store.lock()?;
        let mut document = store.read(Kind::Issue, number)?;
        if document.front.state == State::Open {
            document.front.state = State::Closed;
            document.front.reason = Some(why);
            store.write(&document)?;
        }
        Ok(())
    }

    fn created(&self, document: &Document, existed: bool) -> Created {
        let Front { number, kind, .. } = document.front;
        Created {
            number,
            url: self.store.shown(kind, number),
            existed,
        }
    }
}

impl Forge for LocalForge {
    fn perform(&self, request: &Request) -> Result<Reply, ForgeError> {
        match request {
            Request::CreateIssue(issue) => self.create_issue(issue).map(Reply::Created),
            Request::CreatePull(pull) => self.create_pull(pull).map(Reply::Created),
            Request::Comment(comment) => self.comment(comment).map(Reply::Created),
            Request::Adopt {
                number,
                marker,
                labels,
                parent: _,
            } => self.adopt(*number, marker, labels).map(Reply::Created),
            Request::Issue { number } => self.issue(*number).map(Reply::Issue),
            Request::SubIssues { .. } => Ok(Reply::Issues { issues: Vec::new() }),
            Request::Marked { master } => self.marked(master).map(|found| Reply::Marked { found }),
            Request::CloseMarked { marker, why } => self
                .close_marked(marker, *why)
                .map(|numbers| Reply::Closed { numbers }),
            Request::Close { number, why } => self.close(*number, *why).map(|()| Reply::Done),
        }
    }
}
