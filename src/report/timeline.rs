//! When which agent was at work, as a Mermaid Gantt chart, which GitHub draws.
//!
//! Pure.

use std::fmt::Write as _;

/// When what happened in an orchestration. All times are milliseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    /// One row a task that has begun, in the order of their agents.
    pub rows: Vec<Row>,
    /// When no agent could start.
    pub pauses: Vec<Bar>,
}

impl Timeline {
    fn has_bars(&self) -> bool {
        self.rows.iter().any(|row| !row.bars.is_empty())
    }
}

/// What ran for one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The agent's number.
    pub agent: u32,
    /// The task's title.
    pub title: String,
    /// Setup, attempts, verification.
    pub bars: Vec<Bar>,
}

/// A stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// What it is called: `Attempt 1`.
    pub label: String,
    /// When it began.
    pub from: i64,
    /// When it ended.
    pub to: i64,
    /// How it is to look.
    pub look: Look,
}

/// How a bar looks, for what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Work that came to a good end.
    Work,
    /// What failed.
    Failure,
    /// What goes with the work, and waiting.
    Aside,
}

/// The most characters of a title beside the chart.
const TITLE_LENGTH: usize = 40;
/// Charts of this many milliseconds and less show seconds.
const SHORT: i64 = 10 * 60 * 1000;
/// Longer ones show days.
const LONG: i64 = 24 * 60 * 60 * 1000;
/// Shorter times without work stand in the chart as they are.
const SHORTEST_GAP: i64 = 60 * 1000;
/// Room for the titles before the bars, in Mermaid's pixels: they would run over them.
const TITLE_WIDTH: u32 = 300;

/// The chart as a code block of Markdown; `None` where nothing ran.
pub fn mermaid(timeline: &Timeline) -> Option<String> {
    let scale = Scale::of(timeline)?;
    let mut text = format!(
        "```mermaid\n%%{{init: {{\"gantt\": {{\"leftPadding\": {TITLE_WIDTH}}}}}}}%%\n\
         gantt\n    dateFormat x\n    axisFormat {}\n",
        scale.axis()
    );
    if !scale.idle.is_empty() {
        // A semicolon would end it.
        text.push_str("    title Seconds from the start, without the times when nobody worked\n");
    }
    for row in timeline.rows.iter().filter(|row| !row.bars.is_empty()) {
        let title = plain_words(&row.title);
        section(
            &mut text,
            format!("Agent-{} {title}", row.agent).trim(),
            &row.bars,
            &scale,
        );
    }
    if !timeline.pauses.is_empty() {
        section(&mut text, "Pauses", &timeline.pauses, &scale);
    }
    Some(text + "```")
}

/// Where a time is on the axis.
struct Scale {
    from: i64,
    to: i64,
    /// When nobody worked for so long that the bars would be slivers, as it is where a run is taken
    /// up again on the next day: left out, and then the axis counts seconds.
    idle: Vec<(i64, i64)>,
}

impl Scale {
    fn of(timeline: &Timeline) -> Option<Self> {
        let bars = timeline.rows.iter().flat_map(|row| &row.bars);
        let mut spans: Vec<_> = bars
            .chain(&timeline.pauses)
            .map(|bar| (bar.from, bar.to))
            .collect();
        spans.sort_unstable();
        let &(from, mut to) = spans.first().filter(|_| timeline.has_bars())?;
        let mut idle = Vec::new();
        for (begun, ended) in spans {
            if begun > to {
                idle.push((to, begun));
            }
            to = to.max(ended);
        }
        let length = |&(begun, ended): &(i64, i64)| ended - begun;
        let busy = to - from - idle.iter().map(length).sum::<i64>();
        idle.retain(|gap| length(gap) >= SHORTEST_GAP.max(busy / 4));
        Some(Self { from, to, idle })
    }

    fn axis(&self) -> &'static str {
        match self.to - self.from {
            // The one format that no time zone moves.
            _ if !self.idle.is_empty() => "%s s",
            length if length <= SHORT => "%H:%M:%S",
            length if length <= LONG => "%H:%M",
            _ => "%d %H:%M",
        }
    }

    fn place(&self, time: i64) -> i64 {
        if self.idle.is_empty() {
            return time;
        }
        let before = self.idle.iter().filter(|(_, ended)| *ended <= time);
        time - self.from - before.map(|(begun, ended)| ended - begun).sum::<i64>()
    }
}

fn section(text: &mut String, title: &str, bars: &[Bar], scale: &Scale) {
    let _ = writeln!(text, "    section {title}");
    for bar in bars {
        let look = match bar.look {
            Look::Work => "active, ",
            Look::Failure => "crit, ",
            Look::Aside => "done, ",
        };
        // A bar that has no length is not drawn.
        let (from, to) = (scale.place(bar.from), scale.place(bar.to));
        let to = to.max(from + 1);
        let _ = writeln!(text, "    {} :{look}{from}, {to}", bar.label);
    }
}

/// A title without what means something to Mermaid: letters, digits and a few harmless marks.
fn plain_words(title: &str) -> String {
    let is_harmless = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ',');
    let words: String = title
        .chars()
        .map(|c| if is_harmless(c) { c } else { ' ' })
        .collect();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut letters = words.chars();
    let cut: String = letters.by_ref().take(TITLE_LENGTH).collect();
    match letters.next() {
        Some(_) => format!("{}…", cut.trim_end()),
        None => cut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: &str, from: i64, to: i64, look: Look) -> Bar {
        Bar {
            label: label.to_owned(),
            from,
            to,
            look,
        }
    }

    #[test]
    fn each_task_is_a_section_with_its_attempts() {
        let timeline = Timeline {
            rows: vec![
                Row {
                    agent: 1,
                    title: "Add `login`; drop #12: now".to_owned(),
                    bars: vec![
                        bar("Setup", 1_000, 2_000, Look::Aside),
                        bar("Attempt 1", 2_000, 60_000, Look::Failure),
                        bar("Attempt 2", 70_000, 70_000, Look::Work),
                    ],
                },
                Row {
                    agent: 2,
                    title: "Never begun".to_owned(),
                    bars: Vec::new(),
                },
            ],
            pauses: vec![bar("No agent starts", 60_000, 70_000, Look::Aside)],
        };
        insta::assert_snapshot!(mermaid(&timeline).unwrap(), @r#"
        ```mermaid
        %%{init: {"gantt": {"leftPadding": 300}}}%%
        gantt
            dateFormat x
            axisFormat %H:%M:%S
            section Agent-1 Add login drop 12 now
            Setup :done, 1000, 2000
            Attempt 1 :crit, 2000, 60000
            Attempt 2 :active, 70000, 70001
            section Pauses
            No agent starts :done, 60000, 70000
        ```
        "#);
        assert_eq!(mermaid(&Timeline::default()), None);
    }

    #[test]
    fn the_night_before_a_retry_is_left_out() {
        const NIGHT: i64 = 12 * 60 * 60 * 1000;
        let timeline = Timeline {
            rows: vec![Row {
                agent: 1,
                title: "Add login".to_owned(),
                bars: vec![
                    bar("Attempt 1", 1_000, 61_000, Look::Failure),
                    bar("Attempt 2", NIGHT, NIGHT + 30_000, Look::Work),
                ],
            }],
            pauses: vec![bar("No agent starts", 61_000, 71_000, Look::Aside)],
        };
        insta::assert_snapshot!(mermaid(&timeline).unwrap(), @r#"
        ```mermaid
        %%{init: {"gantt": {"leftPadding": 300}}}%%
        gantt
            dateFormat x
            axisFormat %s s
            title Seconds from the start, without the times when nobody worked
            section Agent-1 Add login
            Attempt 1 :crit, 0, 60000
            Attempt 2 :active, 70000, 100000
            section Pauses
            No agent starts :done, 60000, 70000
        ```
        "#);
    }

    #[test]
    fn a_title_cannot_leave_its_line_and_is_cut() {
        assert_eq!(plain_words("a\nsection b %% --> c```"), "a section b -- c");
        assert_eq!(plain_words(&"long ".repeat(20)).chars().count(), 40);
    }
}
