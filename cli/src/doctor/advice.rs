//! What to do, where several checks say the same. Sections of the documents are named here only.

/// A section of `docs/OPERATIONS.md` or `docs/RECOVERY.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    ApiFails,
    Deploy,
    FunctionFails,
    FunctionLogsErrors,
    NothingIsDelivered,
    RestoreByHand,
    RestoreTable,
    StopTheFlow,
    Upgrade,
    WebhooksWithoutSecrets,
}

pub(crate) const PERMISSIONS: &str =
    "Allow it: docs/PERMISSIONS.md lists what `docintell doctor` needs.";

impl Section {
    #[cfg(test)]
    const ALL: [Self; 10] = [
        Self::ApiFails,
        Self::Deploy,
        Self::FunctionFails,
        Self::FunctionLogsErrors,
        Self::NothingIsDelivered,
        Self::RestoreByHand,
        Self::RestoreTable,
        Self::StopTheFlow,
        Self::Upgrade,
        Self::WebhooksWithoutSecrets,
    ];

    /// The file and the heading.
    const fn place(self) -> (&'static str, &'static str) {
        const RUNBOOK: &str = "docs/OPERATIONS.md";
        const RECOVERY: &str = "docs/RECOVERY.md";
        match self {
            Self::ApiFails => (RUNBOOK, "The API fails"),
            Self::Deploy => (RUNBOOK, "Deploy"),
            Self::FunctionFails => (RUNBOOK, "A function fails"),
            Self::FunctionLogsErrors => (RUNBOOK, "A function logs errors"),
            Self::NothingIsDelivered => (RUNBOOK, "Nothing is delivered"),
            Self::RestoreByHand => (RUNBOOK, "Restore what was changed by hand"),
            Self::RestoreTable => (RECOVERY, "Restore a table"),
            Self::StopTheFlow => (RUNBOOK, "Stop the flow"),
            Self::Upgrade => (RUNBOOK, "Upgrade"),
            Self::WebhooksWithoutSecrets => {
                (RECOVERY, "Secrets without webhooks, and webhooks without secrets")
            }
        }
    }

    /// Such as `docs/OPERATIONS.md, "Deploy"`.
    pub(crate) fn named(self) -> String {
        let (file, heading) = self.place();
        format!("{file}, \"{heading}\"")
    }

    /// As a sentence.
    pub(crate) fn see(self) -> String {
        format!("See {}.", self.named())
    }
}

/// For what somebody has changed since the deployment.
pub(crate) fn restore_by_hand() -> String {
    format!("Somebody has changed it by hand: restore it as in {}.", Section::RestoreByHand.named())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_section_exists() {
        let pages = [
            ("docs/OPERATIONS.md", include_str!("../../../docs/OPERATIONS.md")),
            ("docs/RECOVERY.md", include_str!("../../../docs/RECOVERY.md")),
        ];
        for section in Section::ALL {
            let (file, heading) = section.place();
            let (_, page) = pages.iter().find(|(name, _)| *name == file).unwrap();
            let is_heading = |line: &str| line.trim_start_matches('#') == format!(" {heading}");
            assert!(page.lines().any(is_heading), "{file} has no section {heading}");
        }
    }
}
