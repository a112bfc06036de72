//! Who may write to the repository, and who is a stranger (DESIGN section 5, "Untrusted text").

use std::collections::HashMap;

use super::GitHubForge;
use super::client::{Call, lock};
use super::shapes::{Association, PermissionShape, UserShape};
use crate::forge::ForgeError;

/// GitHub's name for whoever deleted their account.
const GHOST: &str = "ghost";

/// Who may write, by login, as far as we asked.
pub(super) type People = HashMap<String, Option<bool>>;

impl GitHubForge {
    /// The login of an author who may not write to the repository.
    ///
    /// A member of an organisation and an outside collaborator may have no more than read access,
    /// so GitHub is asked; where it does not say, the association counts.
    pub(super) fn stranger(
        &self,
        user: Option<&UserShape>,
        association: Association,
    ) -> Result<Option<String>, ForgeError> {
        let login = user.map_or(GHOST, |user| user.login.as_str());
        let may_write = match association {
            Association::Owner => true,
            Association::Member | Association::Collaborator => {
                self.may_write(login)?.unwrap_or(true)
            }
            Association::Other => false,
        };
        Ok((!may_write).then(|| login.to_owned()))
    }

    /// Whether a marker in an author's text can be ours.
    ///
    /// Tokens of apps and of private members write under no association, so those are not refused
    /// by that alone: an app must have been let in, and for a person GitHub is asked.
    pub(super) fn may_be_ours(
        &self,
        user: Option<&UserShape>,
        association: Association,
    ) -> Result<bool, ForgeError> {
        if association != Association::Other {
            return Ok(true);
        }
        match user {
            Some(user) if user.kind == "Bot" => Ok(true),
            Some(user) => Ok(self.may_write(&user.login)?.unwrap_or(false)),
            None => Ok(false),
        }
    }

    /// `None` where GitHub does not tell us.
    fn may_write(&self, login: &str) -> Result<Option<bool>, ForgeError> {
        if let Some(known) = lock(&self.people).get(login) {
            return Ok(*known);
        }
        let may_write = self.ask_permission(login)?;
        lock(&self.people).insert(login.to_owned(), may_write);
        Ok(may_write)
    }

    fn ask_permission(&self, login: &str) -> Result<Option<bool>, ForgeError> {
        let is_login = login
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !is_login || login.is_empty() {
            return Ok(None);
        }
        let call = Call::get(
            self.path(&format!("collaborators/{login}/permission")),
            format!("see what {login} may do"),
        );
        let answer = self.client.ask_loosely(&call)?;
        if matches!(answer.status, 403 | 404) {
            return Ok(None);
        }
        let answer = self.client.accept(&call, answer)?;
        let shape: PermissionShape = super::shape(&call, answer.body)?;
        let writes = |name: &str| matches!(name, "write" | "maintain" | "admin");
        Ok(Some(writes(&shape.permission) || writes(&shape.role_name)))
    }
}
