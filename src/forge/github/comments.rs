//! Comments: ours is edited in place.

use std::collections::HashMap;

use serde_json::json;

use super::client::{Call, lock};
use super::shapes::CommentShape;
use super::{GitHubForge, Made, fitting, shape};
use crate::forge::{Created, ForgeError, Marker, NewComment};

/// The comments of ours that we know, by issue and marker.
pub(super) type Comments = HashMap<(u64, Marker), CommentShape>;

impl GitHubForge {
    pub(super) fn comment(&self, comment: &NewComment) -> Result<Created, ForgeError> {
        let key = (comment.issue, comment.marker.clone());
        let text = fitting(comment.marker.lead(&comment.body));
        let known = lock(&self.comments).get(&key).cloned();
        let known = match known {
            None if self.has_comments(comment.issue) => self.find_comment(comment)?,
            known => known,
        };
        let edited = match &known {
            Some(known) => self.edit_comment(comment.issue, known, &text)?,
            None => None,
        };
        let existed = edited.is_some();
        let written = match edited {
            Some(edited) => edited,
            None => self.post_comment(comment, &text)?,
        };
        let created = Created {
            number: written.id,
            url: written.html_url.clone(),
            existed,
        };
        lock(&self.comments).insert(key, written);
        Ok(created)
    }

    /// `None` where it was deleted meanwhile.
    fn edit_comment(
        &self,
        issue: u64,
        known: &CommentShape,
        text: &str,
    ) -> Result<Option<CommentShape>, ForgeError> {
        if known.body.as_deref() == Some(text) {
            return Ok(Some(known.clone()));
        }
        let call = Call::patch(
            self.path(&format!("issues/comments/{}", known.id)),
            json!({ "body": text }),
            format!("edit our comment on issue #{issue}"),
        );
        let answer = self.client.ask_loosely(&call)?;
        if answer.status == 404 {
            return Ok(None);
        }
        let answer = self.client.accept(&call, answer)?;
        shape(&call, answer.body).map(Some)
    }

    fn post_comment(&self, comment: &NewComment, text: &str) -> Result<CommentShape, ForgeError> {
        let call = Call::post(
            self.path(&format!("issues/{}/comments", comment.issue)),
            json!({ "body": text }),
            format!("comment on issue #{}", comment.issue),
        );
        let made = self.create(&call, || self.find_comment(comment));
        if made.is_err() {
            self.suspect_comments(comment.issue);
        }
        match made? {
            Made::Found(found) => Ok(found),
            Made::Answered(answer) => {
                let answer = self.client.accept(&call, answer)?;
                shape(&call, answer.body)
            }
        }
    }

    fn find_comment(&self, comment: &NewComment) -> Result<Option<CommentShape>, ForgeError> {
        let number = comment.issue;
        let is_marked = |found: &CommentShape| {
            let body = found.body.as_deref().unwrap_or_default();
            Marker::split(body).0.as_ref() == Some(&comment.marker)
        };
        let mut marked = Vec::new();
        self.pages(
            &format!("issues/{number}/comments?per_page=100"),
            &format!("read the comments of issue #{number}"),
            |page| marked.extend(page.into_iter().filter(is_marked)),
        )?;
        for found in marked {
            if self.may_be_ours(found.user.as_ref(), found.author_association)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}
