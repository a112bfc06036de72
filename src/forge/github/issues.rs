//! Issues and their links: made once, found again, adopted, read and closed.

use std::collections::{HashMap, HashSet};

use serde_json::json;

use super::client::{Call, lock};
use super::shapes::{Association, IssueShape, StateShape, SubIssuesShape, UserShape};
use super::{GitHubForge, Made, fitting, shape};
use crate::forge::{
    CloseReason, Created, ForgeError, Issue, Marked, Marker, MarkerKind, NewIssue, State,
};
use crate::report::untrusted::title;

/// The label by which our issues are listed.
const LABEL: &str = "parallel-orchestration";

const OURS: &str = "issues?labels=parallel-orchestration&state=all&per_page=100";

/// What we know of issues.
#[derive(Debug, Default)]
pub(super) struct Issues {
    read: HashMap<u64, Known>,
    /// Links from an issue to one below it.
    links: HashSet<(u64, u64)>,
    /// The address of the repository in the API, which it also has after it was renamed.
    repository_url: Option<String>,
}

/// What an issue was when it was last read.
#[derive(Debug, Clone)]
struct Known {
    id: u64,
    url: String,
    labels: Vec<String>,
    has_comments: bool,
    sub_issues: Option<SubIssuesShape>,
}

/// Issues with our label, by the marker that they begin with.
pub(super) type Ours = HashMap<Marker, Vec<Found>>;

/// An issue with a marker.
#[derive(Debug, Clone)]
pub(super) struct Found {
    id: u64,
    number: u64,
    state: State,
    url: String,
    author: Option<UserShape>,
    association: Association,
}

impl GitHubForge {
    pub(super) fn create_issue(&self, issue: &NewIssue) -> Result<Created, ForgeError> {
        let mut known = self.find_issue(&issue.marker)?;
        if known.is_none() && issue.marker.kind == MarkerKind::Master {
            // The list may be older than the lock under which a plan is filed, and another run may
            // have filed it in between.
            known = self.look_for_new(&issue.marker)?;
        }
        let (found, existed) = match known {
            Some(found) => {
                if issue.marker.kind == MarkerKind::Diagnostic {
                    self.rewrite(found.number, issue)?;
                }
                (found, true)
            }
            None => (self.post_issue(issue)?, false),
        };
        if let Some(parent) = issue.parent {
            self.link(parent, found.number, found.id)?;
        }
        Ok(Created {
            number: found.number,
            url: found.url,
            existed,
        })
    }

    /// A task that fails again is told by the issue that is open for it.
    fn rewrite(&self, number: u64, issue: &NewIssue) -> Result<(), ForgeError> {
        let call = Call::patch(
            self.path(&format!("issues/{number}")),
            json!({
                "title": title(&issue.title),
                "body": fitting(issue.marker.lead(&issue.body)),
            }),
            format!("bring issue #{number} up to date"),
        );
        self.client.ask(&call).map(drop)
    }

    fn post_issue(&self, issue: &NewIssue) -> Result<Found, ForgeError> {
        let call = Call::post(
            self.path("issues"),
            json!({
                "title": title(&issue.title),
                "body": fitting(issue.marker.lead(&issue.body)),
                "labels": issue.labels,
            }),
            format!("create the issue \"{}\"", title(&issue.title)),
        );
        let made = self.create(&call, || self.look_for_new(&issue.marker));
        if made.is_err() {
            // It may be there all the same: whoever asks again must look again.
            *lock(&self.ours) = None;
        }
        let found = match made? {
            Made::Found(found) => found,
            Made::Answered(answer) => {
                let answer = self.client.accept(&call, answer)?;
                let written: IssueShape = shape(&call, answer.body)?;
                self.remember(&written);
                Found::of(&written)
            }
        };
        if let Some(ours) = lock(&self.ours).as_mut() {
            ours.entry(issue.marker.clone())
                .or_default()
                .push(found.clone());
        }
        Ok(found)
    }

    /// The one with this marker. One that was closed is over, but for a master: a plan has one.
    fn find_issue(&self, marker: &Marker) -> Result<Option<Found>, ForgeError> {
        let mut found = self.with_ours(|ours| ours.get(marker).cloned().unwrap_or_default())?;
        found.retain(|it| it.state == State::Open || marker.kind == MarkerKind::Master);
        self.trusted(found)
    }

    fn trusted(&self, mut found: Vec<Found>) -> Result<Option<Found>, ForgeError> {
        found.sort_by_key(|found| (found.state != State::Open, found.number));
        for found in found {
            if self.may_be_ours(found.author.as_ref(), found.association)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn with_ours<T>(&self, take: impl FnOnce(&Ours) -> T) -> Result<T, ForgeError> {
        let mut ours = lock(&self.ours);
        if let Some(ours) = &*ours {
            return Ok(take(ours));
        }
        let mut by_marker = Ours::new();
        self.pages(OURS, "list the issues of orchestrations", |page| {
            for issue in page {
                self.remember(&issue);
                collect(&mut by_marker, &issue);
            }
        })?;
        let taken = take(&by_marker);
        *ours = Some(by_marker);
        Ok(taken)
    }

    /// Whether an issue of which we lost the answer is there: it would be among the newest.
    fn look_for_new(&self, marker: &Marker) -> Result<Option<Found>, ForgeError> {
        let newest: Vec<IssueShape> = self.first_page(
            &format!("{OURS}&sort=created&direction=desc"),
            "see whether the issue was created",
        )?;
        let mut by_marker = Ours::new();
        for issue in &newest {
            collect(&mut by_marker, issue);
        }
        self.trusted(by_marker.remove(marker).unwrap_or_default())
    }

    pub(super) fn adopt(
        &self,
        number: u64,
        labels: &[String],
        parent: Option<u64>,
    ) -> Result<Created, ForgeError> {
        let known = self.known(number)?;
        let has = |label: &String| known.labels.iter().any(|it| it.eq_ignore_ascii_case(label));
        if !labels.iter().all(has) {
            // Labels that are there stay, so it may be sent twice.
            let call = Call::post(
                self.path(&format!("issues/{number}/labels")),
                json!({ "labels": labels }),
                format!("label issue #{number}"),
            );
            self.client.ask(&call)?;
            if let Some(known) = lock(&self.issues).read.get_mut(&number) {
                known.labels.extend_from_slice(labels);
            }
        }
        if let Some(parent) = parent {
            self.link(parent, number, known.id)?;
        }
        Ok(Created {
            number,
            url: known.url,
            existed: true,
        })
    }

    /// Makes one issue a sub-issue of another; one that has a parent already keeps that.
    fn link(&self, parent: u64, child: u64, child_id: u64) -> Result<(), ForgeError> {
        if lock(&self.issues).links.contains(&(parent, child)) {
            return Ok(());
        }
        let call = Call::post(
            self.path(&format!("issues/{parent}/sub_issues")),
            json!({ "sub_issue_id": child_id }),
            format!("make issue #{child} a sub-issue of #{parent}"),
        );
        let made = self.create(&call, || {
            let linked = self.list_sub_issues(parent)?;
            Ok(linked
                .iter()
                .any(|issue| issue.id == child_id)
                .then_some(()))
        })?;
        if let Made::Answered(answer) = made {
            if answer.status == 422 && has_parent(&answer.complaint()) {
                self.client
                    .tell(&format!("issue #{child} is a sub-issue already"));
            } else if answer.status == 404 && self.knows_no_sub_issues(parent) {
                self.client
                    .tell("this GitHub knows no sub-issues: the text alone links them");
            } else {
                self.client.accept(&call, answer)?;
            }
        }
        let mut issues = lock(&self.issues);
        issues.links.insert((parent, child));
        let known = issues.read.get_mut(&parent);
        if let Some(summary) = known.and_then(|known| known.sub_issues.as_mut()) {
            summary.total += 1;
        }
        Ok(())
    }

    /// Whether an issue was read and had nothing to say of sub-issues: GitHub Enterprise Server
    /// has them since 3.17 only.
    fn knows_no_sub_issues(&self, number: u64) -> bool {
        lock(&self.issues)
            .read
            .get(&number)
            .is_some_and(|known| known.sub_issues.is_none())
    }

    pub(super) fn issue(&self, number: u64) -> Result<Issue, ForgeError> {
        let issue = self.read_issue(number)?;
        self.lock_repository(&issue);
        self.to_issue(issue)
    }

    fn read_issue(&self, number: u64) -> Result<IssueShape, ForgeError> {
        let gone = |reason: String, remedy: String| ForgeError::NotFound {
            what: format!("issue #{number} of {}", self.repository),
            reason,
            remedy,
        };
        let call = Call::get(
            self.path(&format!("issues/{number}")),
            format!("read issue #{number}"),
        );
        let answer = self.client.ask_loosely(&call)?;
        if answer.status == 404 {
            let reason = "not found (status 404)".to_owned();
            return Err(gone(reason, self.client.remedy(&answer)));
        }
        let answer = self.client.accept(&call, answer)?;
        let issue: IssueShape = shape(&call, answer.body)?;
        if issue.pull_request.is_some() {
            let remedy = "name an issue that holds tasks";
            return Err(gone("it is a pull request".to_owned(), remedy.to_owned()));
        }
        if issue.number != number {
            let reason = format!("it was moved to {}", issue.html_url);
            return Err(gone(reason, "name it by its new address".to_owned()));
        }
        self.remember(&issue);
        Ok(issue)
    }

    pub(super) fn sub_issues(&self, number: u64) -> Result<Vec<Issue>, ForgeError> {
        let known = lock(&self.issues)
            .read
            .get(&number)
            .and_then(|known| known.sub_issues);
        if known.is_some_and(|summary| summary.total == 0) {
            return Ok(Vec::new());
        }
        let mut issues = Vec::new();
        let listed = match self.list_sub_issues(number) {
            Err(ForgeError::Refused { status: 404, .. }) if self.knows_no_sub_issues(number) => {
                Vec::new()
            }
            listed => listed?,
        };
        for issue in listed {
            if self.is_here(&issue) {
                issues.push(self.to_issue(issue)?);
            } else if issue.state == StateShape::Open {
                return Err(elsewhere(number, &issue));
            }
        }
        Ok(issues)
    }

    fn list_sub_issues(&self, number: u64) -> Result<Vec<IssueShape>, ForgeError> {
        let listed: Vec<IssueShape> = self.list(
            &format!("issues/{number}/sub_issues?per_page=100"),
            &format!("list the sub-issues of #{number}"),
        )?;
        for issue in &listed {
            if self.is_here(issue) {
                self.remember(issue);
                lock(&self.issues).links.insert((number, issue.number));
            }
        }
        Ok(listed)
    }

    pub(super) fn marked(&self, master: &str) -> Result<Vec<Marked>, ForgeError> {
        let candidates = self.with_ours(|ours| {
            let of_master = ours.iter().filter(|(marker, _)| marker.master == master);
            of_master
                .flat_map(|(marker, found)| found.iter().map(|it| (marker.clone(), it.clone())))
                .collect::<Vec<_>>()
        })?;
        let mut marked = Vec::new();
        for (marker, found) in candidates {
            if self.may_be_ours(found.author.as_ref(), found.association)? {
                marked.push(Marked {
                    marker,
                    number: found.number,
                    state: found.state,
                    url: found.url,
                });
            }
        }
        marked.sort_by_key(|marked| marked.number);
        Ok(marked)
    }

    pub(super) fn close_marked(
        &self,
        marker: &Marker,
        why: CloseReason,
    ) -> Result<Vec<u64>, ForgeError> {
        let mut numbers = Vec::new();
        for found in self.marked(&marker.master)? {
            if found.marker == *marker && found.state == State::Open {
                self.close(found.number, why)?;
                numbers.push(found.number);
            }
        }
        if let Some(ours) = lock(&self.ours).as_mut() {
            for found in ours.get_mut(marker).into_iter().flatten() {
                if numbers.contains(&found.number) {
                    found.state = State::Closed;
                }
            }
        }
        Ok(numbers)
    }

    pub(super) fn close(&self, number: u64, why: CloseReason) -> Result<(), ForgeError> {
        if self.read_issue(number)?.state == StateShape::Closed {
            return Ok(());
        }
        let call = Call::patch(
            self.path(&format!("issues/{number}")),
            json!({ "state": "closed", "state_reason": why }),
            format!("close issue #{number}"),
        );
        self.client.ask(&call).map(drop)
    }

    /// Whether comments may stand under an issue; a new one of ours has none.
    pub(super) fn has_comments(&self, number: u64) -> bool {
        lock(&self.issues)
            .read
            .get(&number)
            .is_none_or(|known| known.has_comments)
    }

    /// A comment may have come to be under an issue although we had no answer.
    pub(super) fn suspect_comments(&self, number: u64) {
        if let Some(known) = lock(&self.issues).read.get_mut(&number) {
            known.has_comments = true;
        }
    }

    fn known(&self, number: u64) -> Result<Known, ForgeError> {
        if let Some(known) = lock(&self.issues).read.get(&number) {
            return Ok(known.clone());
        }
        Ok(Known::of(&self.read_issue(number)?))
    }

    fn remember(&self, issue: &IssueShape) {
        let mut issues = lock(&self.issues);
        issues.read.insert(issue.number, Known::of(issue));
        if let Some(parent) = issue.parent() {
            issues.links.insert((parent, issue.number));
        }
    }

    fn lock_repository(&self, issue: &IssueShape) {
        if !issue.repository_url.is_empty() {
            lock(&self.issues).repository_url = Some(issue.repository_url.clone());
        }
    }

    /// Whether a sub-issue lies in this repository, as all need not.
    fn is_here(&self, issue: &IssueShape) -> bool {
        let place = &issue.repository_url;
        let known = lock(&self.issues).repository_url.clone();
        let named = format!("/{}", self.repository);
        place.is_empty()
            || known.is_some_and(|known| known.eq_ignore_ascii_case(place))
            || place.to_lowercase().ends_with(&named.to_lowercase())
    }

    fn to_issue(&self, issue: IssueShape) -> Result<Issue, ForgeError> {
        let stranger = self.stranger(issue.user.as_ref(), issue.author_association)?;
        let (marker, body) = Marker::split(issue.body.as_deref().unwrap_or_default());
        Ok(Issue {
            number: issue.number,
            body: body.to_owned(),
            state: issue.state.into(),
            labels: issue.labels(),
            marker,
            stranger,
            title: issue.title,
            url: issue.html_url,
        })
    }
}

impl Known {
    fn of(issue: &IssueShape) -> Self {
        Self {
            id: issue.id,
            url: issue.html_url.clone(),
            labels: issue.labels(),
            has_comments: issue.comments > 0,
            sub_issues: issue.sub_issues_summary,
        }
    }
}

impl Found {
    fn of(issue: &IssueShape) -> Self {
        Self {
            id: issue.id,
            number: issue.number,
            state: issue.state.into(),
            url: issue.html_url.clone(),
            author: issue.user.clone(),
            association: issue.author_association,
        }
    }
}

/// Files an issue under its marker, where it has that and our label.
fn collect(ours: &mut Ours, issue: &IssueShape) {
    let is_labelled = issue
        .labels()
        .iter()
        .any(|label| label.eq_ignore_ascii_case(LABEL));
    if issue.pull_request.is_some() || !is_labelled {
        return;
    }
    if let Some(marker) = issue.marker() {
        ours.entry(marker).or_default().push(Found::of(issue));
    }
}

/// GitHub's words where an issue is a sub-issue already, of this parent or another.
fn has_parent(complaint: &str) -> bool {
    complaint.contains("duplicate sub-issues") || complaint.contains("only have one parent")
}

fn elsewhere(number: u64, issue: &IssueShape) -> ForgeError {
    ForgeError::Refused {
        what: format!("use the sub-issues of #{number}"),
        status: 0,
        reason: format!("{} lies in another repository", issue.html_url),
        remedy: "close it, or take it off the list of sub-issues".to_owned(),
    }
}
