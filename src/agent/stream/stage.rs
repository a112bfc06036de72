//! From a tool call to what people read: `Editing src/app.py`.

use serde_json::Value;

use super::text;

/// What a tool call does. Paths in `folder` are shown as seen from it.
pub(super) fn of_call(tool: &str, input: &Value, folder: &str) -> String {
    let argument = |name: &str| text(&input[name]).trim();
    let path = |name: &str| {
        let path = argument(name);
        let inside = path.strip_prefix(folder).filter(|_| !folder.is_empty());
        inside
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or(path)
    };
    let doing = |verb: &str, what: &str| format!("{verb} {what}");
    match tool {
        "Bash" if argument("description").is_empty() => doing("Running", argument("command")),
        "Bash" => argument("description").to_owned(),
        "Read" => doing("Reading", path("file_path")),
        "Edit" | "MultiEdit" => doing("Editing", path("file_path")),
        "NotebookEdit" => doing("Editing", path("notebook_path")),
        "Write" => doing("Writing", path("file_path")),
        "Glob" | "Grep" => doing("Searching for", argument("pattern")),
        "WebFetch" => doing("Reading", argument("url")),
        "WebSearch" => doing("Searching the web for", argument("query")),
        "Agent" | "Task" => doing("Asking a subagent:", argument("description")),
        "Skill" => doing("Using the skill", argument("skill")),
        "" => String::new(),
        other => doing("Using", other),
    }
}

/// That the provider did not answer, and that the agent asks again.
pub(super) fn of_retry(event: &Value) -> String {
    let why = text(&event["error"]).replace('_', " ");
    let (attempt, most) = (&event["attempt"], &event["max_retries"]);
    match (attempt.as_u64(), most.as_u64()) {
        (Some(attempt), Some(most)) => {
            format!("Asking the model again, {attempt} of {most} times ({why})")
        }
        _ => format!("Asking the model again ({why})"),
    }
}
