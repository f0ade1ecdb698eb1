//! What a token allows besides being a player: for operations that are not every player's.
//!
//! What a player does needs none. The operations on the catalogue, on the ports of the player API,
//! call [`Permissions::require`]. The list of malformed events and the metrics stand on the operations
//! port, which asks nobody who they are.

use serde::Deserialize;

use crate::error::{ApiError, Reason};

/// Something that may be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// The OAuth scope that allows it.
    pub scope: &'static str,
    /// The resource below `ADMIN:NAMESPACE:{namespace}:` whose actions allow it, as `AccelByte`
    /// tokens name it.
    pub resource: &'static str,
    /// The actions on the resource that are needed, all of them: create 1, read 2, update 4,
    /// delete 8.
    pub actions: u32,
}

/// Looking at what players do not see.
pub const ADMIN_READ: Permission =
    Permission { scope: "gauntlet.admin.read", resource: "CHALLENGE", actions: 2 };
/// Changing what players cannot change.
pub const ADMIN_WRITE: Permission =
    Permission { scope: "gauntlet.admin.write", resource: "CHALLENGE", actions: 4 };

/// The permissions of one token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    scopes: Vec<String>,
    resources: Vec<(String, u32)>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scopes {
    Text(String),
    List(Vec<String>),
}

#[derive(Deserialize)]
struct Resource {
    #[serde(rename = "Resource", alias = "resource")]
    resource: String,
    #[serde(rename = "Action", alias = "action")]
    action: u32,
}

impl Permissions {
    /// From the JSON of the claims `scope` (or `scp`) and `permissions`. What cannot be read
    /// allows nothing.
    #[must_use]
    pub fn read(scope: Option<&str>, permissions: Option<&str>) -> Self {
        let scopes = match scope.and_then(|json| serde_json::from_str(json).ok()) {
            Some(Scopes::Text(text)) => text.split_ascii_whitespace().map(str::to_owned).collect(),
            Some(Scopes::List(list)) => list,
            None => Vec::new(),
        };
        let resources: Vec<Resource> =
            permissions.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        let resources = resources.into_iter().map(|one| (one.resource, one.action)).collect();
        Self { scopes, resources }
    }

    /// Of these scopes alone, with blanks between them.
    #[must_use]
    pub fn of_scopes(scopes: &str) -> Self {
        let scopes = scopes.split_ascii_whitespace().map(str::to_owned).collect();
        Self { scopes, resources: Vec::new() }
    }

    /// Whether they allow it in a namespace.
    #[must_use]
    pub fn allow(&self, permission: Permission, namespace: &str) -> bool {
        let wanted = ["ADMIN", "NAMESPACE", namespace, permission.resource];
        let covers = |name: &str| {
            let parts: Vec<&str> = name.split(':').collect();
            parts.len() == wanted.len()
                && parts.iter().zip(wanted).enumerate().all(|(at, (part, wanted))| {
                    // ADMIN is never a wildcard: a player's permissions begin with something else.
                    *part == wanted || (at > 0 && *part == "*")
                })
        };
        self.scopes.iter().any(|scope| scope == permission.scope)
            || self
                .resources
                .iter()
                .any(|(name, actions)| actions & permission.actions == permission.actions && covers(name))
    }

    /// Refuses who may not.
    ///
    /// # Errors
    /// `FORBIDDEN`, with the scope that would allow it.
    pub fn require(&self, permission: Permission, namespace: &str) -> Result<(), ApiError> {
        if self.allow(permission, namespace) {
            return Ok(());
        }
        Err(ApiError::new(Reason::Forbidden, "the token does not allow this").with("scope", permission.scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_and_resources_allow_what_they_name_and_nothing_else() {
        // scope, permissions, read allowed, write allowed
        for (scope, resources, read, write) in [
            ("", "", false, false),
            (r#""openid gauntlet.admin.read""#, "", true, false),
            (r#"["gauntlet.admin.write"]"#, "", false, true),
            (r#""gauntlet.admin.reader xgauntlet.admin.read""#, "", false, false),
            ("7", "{}", false, false),
            ("", r#"[{"Resource":"ADMIN:NAMESPACE:arena:CHALLENGE","Action":2}]"#, true, false),
            ("", r#"[{"Resource":"ADMIN:NAMESPACE:arena:CHALLENGE","Action":15}]"#, true, true),
            ("", r#"[{"resource":"ADMIN:NAMESPACE:*:CHALLENGE","action":4}]"#, false, true),
            ("", r#"[{"Resource":"ADMIN:NAMESPACE:other:CHALLENGE","Action":15}]"#, false, false),
            ("", r#"[{"Resource":"*:NAMESPACE:arena:CHALLENGE","Action":15}]"#, false, false),
            ("", r#"[{"Resource":"NAMESPACE:arena:CHALLENGE","Action":15}]"#, false, false),
            ("", r#"[{"Resource":"ADMIN:NAMESPACE:arena:CHALLENGE:X","Action":15}]"#, false, false),
            ("", r#"[{"Resource":"ADMIN:*","Action":15}]"#, false, false),
        ] {
            let json = |text: &'static str| (!text.is_empty()).then_some(text);
            let permissions = Permissions::read(json(scope), json(resources));
            assert_eq!(permissions.allow(ADMIN_READ, "arena"), read, "{scope} {resources}");
            assert_eq!(permissions.allow(ADMIN_WRITE, "arena"), write, "{scope} {resources}");
            let required = permissions.require(ADMIN_READ, "arena");
            assert_eq!(required.err().map(|error| error.reason), (!read).then_some(Reason::Forbidden));
        }
    }
}
