//! From what was prepared to a run: the master issue, the lock, the journal, the world.
//!
//! Creates the runtime folder, files the master issue, reads earlier journals and opens a new
//! one. Decides through [`super::history`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::agent::environment::{Environment, inherited};
use crate::error::{Error, Result};
use crate::forge::{Marker, MarkerKind, NewIssue, Reply, Request};
use crate::plan::{self, Verdict};
use crate::report::redact::Redactor;
use crate::supervisor::{end_leftovers, ensure_descriptors, own_mark};
use crate::workspace::Master;
use crate::workspace::exclude::{ensure_runtime, exclude_own_files};
use crate::world::real::{RealWorld, Setting, create_folder, wall};

use super::again::TakenUp;
use super::cancellation::Address;
use super::earlier::{self, Earlier};
use super::event::{Event, PlannedTask};
use super::facts::{Filed, Settings, Start, TaskSpec};
use super::history::{History, Todo};
use super::lock::Lock;
use super::operation::Site;
use super::origin::unexpected;
use super::prepare::Prepared;
use super::record::Body;
use super::resumption::Resumption;
use super::state::State;
use super::summary::Summary;
use super::surroundings::secrets;

/// An orchestration that is about to run.
pub struct Ready {
    /// Its id.
    pub orchestration: String,
    /// The world that it runs in.
    pub world: RealWorld,
    /// What it works on.
    pub site: Site,
    /// How it begins.
    pub beginning: Beginning,
    /// Held until the end.
    pub lock: Lock,
}

/// How an orchestration begins.
pub enum Beginning {
    /// From what it starts from, and what was recorded before there was a journal.
    Fresh(Box<Start>, Vec<Body>),
    /// From the state of its journal, the number of the last record there, and how it goes on.
    TakenUp(Box<State>, u64, Box<Resumption>),
}

/// What [`Prepared::start`] leads to.
pub enum Next {
    /// This is to be run.
    Run(Box<Ready>),
    /// Nothing is left to do; this is what the latest orchestration came to.
    Done(Box<Summary>),
}

impl Prepared {
    /// Takes the lock, files the master issue, opens the journal.
    ///
    /// `listener` gets the public events.
    pub fn start(mut self, listener: impl FnMut(Event) + Send + 'static) -> Result<Next> {
        self.refuse_dependencies()?;
        if self.needs_confirmation() {
            return Err(Error::WarningsNotAccepted {
                warnings: self.validation.warnings.join("; "),
            });
        }
        ensure_descriptors(self.admission.descriptors);
        ensure_runtime(self.workspace.root())?;
        exclude_own_files(self.workspace.common_dir())?;
        if let Some(taken_up) = self.taken_up.take() {
            return self.take_up(taken_up, listener);
        }
        let (master, lock) = self.file_master()?;
        let label = self.origin.label(master.number);
        create_folder(&self.layout.parallel(label))?;
        let earlier = earlier::of_master(&self.layout, label)?;
        if let Some(latest) = earlier.last()
            && latest.state.is_broken_off()
        {
            end_engine(&latest.state)?;
        }
        let history = History::new(earlier.into_iter().map(|earlier| earlier.state));
        let tasks = match history.todo(self.tasks(), self.options.new) {
            Todo::Tasks(tasks) => tasks,
            Todo::Nothing(summary) => return Ok(Next::Done(summary)),
        };
        if let Some(unusable) = self.unusable {
            return Err(unusable);
        }
        let orchestration =
            label.orchestration_id(wall(), |id| self.layout.journal(label, id).exists());
        let logs = self.layout.logs(&orchestration);
        let start = Start {
            orchestration: orchestration.clone(),
            label: label.slug(),
            source: self.source.clone(),
            master,
            local: self.origin.remote.is_none(),
            remote: self
                .origin
                .remote
                .as_ref()
                .map(|remote| remote.name.clone()),
            title: self.title(),
            opening: self.plan.opening.clone(),
            base: self.base.name.clone(),
            base_commit: self.base.commit.clone(),
            worktrees: self.layout.worktrees().to_string_lossy().into_owned(),
            logs: self.layout.shown(&logs),
            summary_path: self.layout.shown(&self.layout.summary_markdown(label)),
            settings: self.settings(),
            tasks,
            engine: engine_mark()?,
        };
        let journal = (self.layout.journal(label, &orchestration), None);
        let world = RealWorld::open(self.setting(journal, logs)?, listener)?;
        let before = self.before(&start);
        Ok(Next::Run(Box::new(Ready {
            orchestration,
            world,
            site: self.site(label),
            beginning: Beginning::Fresh(Box::new(start), before),
            lock,
        })))
    }

    /// Goes on in the journal of an earlier orchestration, once nothing of that lives any more.
    fn take_up(
        mut self,
        taken_up: TakenUp,
        listener: impl FnMut(Event) + Send + 'static,
    ) -> Result<Next> {
        let Earlier {
            journal,
            state,
            seq,
            good_bytes,
        } = taken_up.earlier;
        let lock = self.lock.take().ok_or_else(|| Error::Engine {
            reason: "an orchestration is taken up without its lock".to_owned(),
        })?;
        end_engine(&state)?;
        let resumption = Resumption {
            retry: self.options.retry,
            successful: state.tasks.iter().filter(|task| task.succeeded()).count(),
            total: state.tasks.len(),
            tasks: taken_up.reruns,
            settings: self.settings(),
            engine: engine_mark()?,
        };
        let orchestration = state.start.orchestration.clone();
        let logs = self.layout.logs(&orchestration);
        let setting = self.setting((journal, Some(good_bytes)), logs)?;
        let label = self.origin.label(state.start.master.number);
        Ok(Next::Run(Box::new(Ready {
            orchestration,
            world: RealWorld::open(setting, listener)?,
            site: self.site(label),
            beginning: Beginning::TakenUp(Box::new(state), seq, Box::new(resumption)),
            lock,
        })))
    }

    /// What the world has to know; `journal` is its path, and how much of it is there.
    fn setting(&self, journal: (PathBuf, Option<u64>), logs: PathBuf) -> Result<Setting> {
        let (journal, journal_bytes) = journal;
        Ok(Setting {
            root: self.workspace.root().to_owned(),
            mailbox: Address::new(&journal, engine_mark()?),
            journal,
            journal_bytes,
            logs,
            worktree_lock: self.layout.worktree_lock(),
            git: self.git.clone(),
            env: self.environment.clone(),
            verbose: self.resolved.verbose,
            submodules: self.workspace.has_submodules(&self.base.commit)?,
            redactor: self.redactor(),
            forge: Arc::clone(&self.origin.forge),
            interval: self.resolved.interval,
            steps: self.admission.steps,
        })
    }

    fn site(&self, label: Master) -> Site {
        Site::new(
            self.layout.clone(),
            label,
            self.agent.clone(),
            self.agents_environment(),
            self.redactor(),
        )
    }

    fn redactor(&self) -> Redactor {
        let mut secrets = secrets(&self.environment);
        secrets.extend(self.origin.token.clone());
        Redactor::new(secrets)
    }

    fn title(&self) -> String {
        self.plan.title.clone().unwrap_or_else(|| {
            let name = Path::new(&self.source)
                .file_stem()
                .map(|stem| stem.to_string_lossy());
            match name {
                Some(name) if self.source != "-" => name.into_owned(),
                _ => "Plan".to_owned(),
            }
        })
    }

    fn settings(&self) -> Settings {
        Settings {
            max_workers: self.admission.agents,
            wanted_workers: (self.admission.agents < self.resolved.max_workers)
                .then_some(self.resolved.max_workers),
            batch_size: self.resolved.batch_size,
            timeout: self.resolved.timeout,
            interval: self.resolved.interval,
            threshold: self.resolved.threshold,
            setup: self.options.setup.clone(),
            verify: self.options.verify.clone(),
            keep_worktrees: self.options.keep_worktrees,
            draft: self.options.draft,
            agent: self.agent.name().to_owned(),
            model: self.options.model.clone(),
            permission_mode: self.options.permission_mode.clone(),
            pass_env: self.options.pass_env.clone(),
            budget_usd: self.options.budget_usd,
            agent_budget_usd: self.options.agent_budget_usd,
            first_pause: self.resolved.first_pause,
        }
    }

    /// The tasks, numbered as in the plan.
    fn tasks(&self) -> Vec<TaskSpec> {
        let closed = |number: &u64| !self.adopted.contains_key(number);
        self.plan
            .tasks
            .iter()
            .filter_map(|task| {
                let adopts = task.adopts.as_ref().map(|issue| issue.number);
                if adopts.as_ref().is_some_and(closed) {
                    return None;
                }
                let title = match adopts.and_then(|number| self.adopted.get(&number)) {
                    Some(title) => title.clone(),
                    None => task.title.clone(),
                };
                Some(TaskSpec {
                    agent: task.index,
                    key: plan::key(&task.title, task.occurrence),
                    title,
                    description: task.description.clone(),
                    acceptance: task.acceptance.clone(),
                    adopts,
                    repeats: false,
                    failed: false,
                })
            })
            .collect()
    }

    fn before(&self, start: &Start) -> Vec<Body> {
        vec![
            Body::PlanParsed {
                source: self.source.clone(),
                title: start.title.clone(),
                tasks: start
                    .tasks
                    .iter()
                    .map(|task| PlannedTask {
                        agent: task.agent,
                        title: task.title.clone(),
                    })
                    .collect(),
            },
            Body::Validated {
                verdict: verdict_name(self.validation.verdict).to_owned(),
                warnings: self.validation.warnings.clone(),
            },
        ]
    }

    fn file_master(&mut self) -> Result<(Filed, Lock)> {
        if let (Some(issue), Some(lock)) = (&self.origin.master, self.lock.take()) {
            let filed = Filed {
                number: issue.number,
                url: issue.url.clone(),
                existed: true,
            };
            return Ok((filed, lock));
        }
        let identity = self.origin.identity.clone().unwrap_or_default();
        // GitHub has no lock: two that found nothing would both file it.
        let filing = self.origin.remote.is_some();
        let _filing = filing
            .then(|| Lock::take(&self.layout.filing_lock(&identity)))
            .transpose()?;
        let reply = self.origin.forge.perform(&Request::CreateIssue(NewIssue {
            marker: Marker::whole(identity, MarkerKind::Master),
            title: self.title(),
            body: self.origin.text.clone(),
            labels: vec!["parallel-orchestration".to_owned()],
            parent: None,
        }))?;
        let Reply::Created(created) = reply else {
            return Err(unexpected(&reply));
        };
        let lock = Lock::take(&self.layout.run_lock(self.origin.label(created.number)))?;
        let filed = Filed {
            number: created.number,
            url: created.url,
            existed: created.existed,
        };
        Ok((filed, lock))
    }

    /// Agents commit with the user's identity, or with ours where there is none.
    fn agents_environment(&self) -> Environment {
        let mut environment = inherited(&self.environment, &self.options.pass_env);
        for (name, value) in self.git.identity_for_agents() {
            if !environment.iter().any(|(known, _)| *known == name) {
                environment.push((name, value));
            }
        }
        environment
    }
}

/// The mark of this program, by which what it started is known if it dies.
fn engine_mark() -> Result<String> {
    own_mark().map_err(|error| Error::Engine {
        reason: error.to_string(),
    })
}

/// Ends what an earlier run has left at work, now that its lock is ours.
fn end_engine(earlier: &State) -> Result<()> {
    if !end_leftovers(&earlier.start.engine) {
        return Err(Error::Engine {
            reason: "processes of the earlier run cannot be ended".to_owned(),
        });
    }
    Ok(())
}

const fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Proceed => "proceed",
        Verdict::Warn => "warn",
        Verdict::Abort => "abort",
    }
}
