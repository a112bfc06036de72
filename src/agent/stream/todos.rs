//! The agent's list of to-dos, however its version keeps it: written as a whole (`TodoWrite`), or
//! item by item (`TaskCreate` and `TaskUpdate`, whose numbers come with the tool's answer).

use std::collections::VecDeque;

use serde_json::Value;

use super::text;

/// More to-dos than these are not counted, nor more questions for a number remembered.
const MOST: usize = 256;

/// A list that is worked off claims at most this, in percent.
const HIGHEST: usize = 90;

#[derive(Debug, Default)]
pub(super) struct Todos {
    items: Vec<Todo>,
    /// Created, and not yet numbered: the call's id, and the words while it is being done.
    asked: VecDeque<(String, String)>,
}

#[derive(Debug)]
struct Todo {
    id: String,
    words: String,
    done: bool,
}

/// Whether a tool keeps to-dos.
pub(super) fn concern(tool: &str) -> bool {
    matches!(
        tool,
        "TodoWrite" | "TaskCreate" | "TaskUpdate" | "TaskGet" | "TaskList"
    )
}

impl Todos {
    /// Takes a call in; the words of a to-do that is begun by it.
    pub(super) fn take(&mut self, tool: &str, input: &Value, call: &str) -> Option<String> {
        match tool {
            "TodoWrite" => self.replace(&input["todos"]),
            "TaskCreate" => {
                if self.asked.len() == MOST {
                    self.asked.pop_front();
                }
                self.asked.push_back((call.to_owned(), words(input)));
                None
            }
            "TaskUpdate" => self.update(input),
            _ => None,
        }
    }

    /// Hears what a call gave: the number of a to-do that was created.
    pub(super) fn hear(&mut self, event: &Value) {
        let id = text(&event["tool_use_result"]["task"]["id"]);
        let results = event["message"]["content"].as_array().into_iter().flatten();
        for result in results.filter(|_| !id.is_empty()) {
            let call = text(&result["tool_use_id"]);
            let asked = self.asked.iter().position(|(asked, _)| asked == call);
            if let Some((_, words)) = asked.and_then(|index| self.asked.remove(index)) {
                self.add(Todo {
                    id: id.to_owned(),
                    words,
                    done: false,
                });
            }
        }
    }

    /// How much is done; nothing where there is no list.
    pub(super) fn percent(&self) -> Option<u8> {
        let done = self.items.iter().filter(|item| item.done).count();
        let percent = (done * 100).checked_div(self.items.len())?;
        u8::try_from(percent.min(HIGHEST)).ok()
    }

    fn replace(&mut self, todos: &Value) -> Option<String> {
        self.items.clear();
        let todos = todos.as_array()?;
        for todo in todos {
            self.add(Todo {
                id: String::new(),
                words: words(todo),
                done: todo["status"] == "completed",
            });
        }
        let begun = todos.iter().find(|todo| todo["status"] == "in_progress");
        begun.map(words)
    }

    fn update(&mut self, input: &Value) -> Option<String> {
        let id = text(&input["taskId"]);
        let index = self.items.iter().position(|item| item.id == id)?;
        let item = &mut self.items[index];
        let renamed = words(input);
        if !renamed.is_empty() {
            item.words = renamed;
        }
        match text(&input["status"]) {
            "deleted" => {
                self.items.remove(index);
                None
            }
            "in_progress" => {
                item.done = false;
                Some(item.words.clone())
            }
            "" => None,
            other => {
                item.done = other == "completed";
                None
            }
        }
    }

    fn add(&mut self, todo: Todo) {
        if self.items.len() < MOST {
            self.items.push(todo);
        }
    }
}

/// The words for a to-do while it is being done.
fn words(todo: &Value) -> String {
    let names = ["activeForm", "subject", "content"];
    let known = names.iter().map(|name| text(&todo[name]));
    known
        .into_iter()
        .find(|words| !words.is_empty())
        .unwrap_or_default()
        .to_owned()
}
