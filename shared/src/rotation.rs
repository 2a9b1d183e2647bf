//! The signing secrets in force after a rotation. Pure: the time is an argument.
//!
//! The rule: at most two secrets are in force, and each has a staging label that keeps its version in Secrets
//! Manager.

use std::time::Duration;

use crate::named::named;
use crate::timestamp::Timestamp;
use crate::webhook::{PreviousSecret, Webhook};

/// How long the replaced secret still signs: 0 to [`Overlap::MAX_SECONDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap(Duration);

impl Overlap {
    /// Seven days.
    pub const MAX_SECONDS: u64 = 7 * 24 * 60 * 60;
    /// The replaced secret stops signing at once.
    pub const NONE: Self = Self(Duration::ZERO);

    /// `None` if `seconds` is above the maximum.
    #[must_use]
    pub fn from_seconds(seconds: u64) -> Option<Self> {
        (seconds <= Self::MAX_SECONDS).then_some(Self(Duration::from_secs(seconds)))
    }

    /// 0 to [`Self::MAX_SECONDS`].
    #[must_use]
    pub fn as_seconds(self) -> u64 {
        self.0.as_secs()
    }
}

/// One day.
impl Default for Overlap {
    fn default() -> Self {
        Self(Duration::from_hours(24))
    }
}

named! {
    /// A label on a secret's version in Secrets Manager, which may remove versions without a label.
    ///
    /// A label is on one version at a time. With three labels, a rotation never takes that of a secret in force,
    /// even if it fails after it has stored its version.
    pub enum StagingLabel {
        /// Followed by [`Self::B`].
        A = "rotation-a",
        /// Followed by [`Self::C`].
        B = "rotation-b",
        /// Followed by [`Self::A`].
        C = "rotation-c",
    }
}

impl StagingLabel {
    /// The label for the version that replaces the one with `current`. The first version of a secret has none of
    /// these labels: it keeps `AWSCURRENT`.
    #[must_use]
    pub fn after(current: Option<Self>) -> Self {
        match current {
            None | Some(Self::C) => Self::A,
            Some(Self::A) => Self::B,
            Some(Self::B) => Self::C,
        }
    }
}

/// The secrets in force after a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotatedSecrets {
    /// New [`Webhook::secret_version`].
    pub version: String,
    /// New [`Webhook::secret_label`].
    pub label: StagingLabel,
    /// New [`Webhook::previous_secret`].
    pub previous: Option<PreviousSecret>,
}

impl RotatedSecrets {
    /// Puts `version` in force at `now`. The secret in force until now signs for another `overlap`. An earlier one
    /// stops signing at once.
    #[must_use]
    pub fn new(
        webhook: &Webhook,
        version: String,
        now: Timestamp,
        Overlap(overlap): Overlap,
    ) -> Self {
        let previous = (!overlap.is_zero()).then(|| PreviousSecret {
            version: webhook.secret_version.clone(),
            until: now.plus(overlap),
        });
        Self { version, label: StagingLabel::after(webhook.secret_label), previous }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn webhook() -> Webhook {
        Webhook::example(at("2025-12-01T00:00:00Z"))
    }

    fn rotate(webhook: Webhook, version: &str, now: &str, overlap: Overlap) -> Webhook {
        let rotated = RotatedSecrets::new(&webhook, version.to_owned(), at(now), overlap);
        Webhook {
            secret_version: rotated.version,
            secret_label: Some(rotated.label),
            previous_secret: rotated.previous,
            ..webhook
        }
    }

    fn previous(webhook: &Webhook, now: &str) -> Option<String> {
        webhook.previous_secret_at(at(now)).map(|previous| previous.version.clone())
    }

    #[test]
    fn the_replaced_secret_signs_until_the_overlap_ends() {
        let webhook = rotate(webhook(), "v1", "2025-12-03T10:30:00.5Z", Overlap::default());
        assert_eq!(webhook.secret_version, "v1");
        for (now, expected) in [
            ("2025-12-03T10:30:00.5Z", Some("the-version")),
            ("2025-12-04T10:30:00.499Z", Some("the-version")),
            ("2025-12-04T10:30:00.5Z", None),
        ] {
            assert_eq!(previous(&webhook, now).as_deref(), expected, "{now}");
        }
    }

    #[test]
    fn a_rotation_inside_an_overlap_drops_the_oldest_secret() {
        let now = "2025-12-03T10:30:00Z";
        let once = rotate(webhook(), "v1", now, Overlap::default());
        let twice = rotate(once, "v2", now, Overlap::from_seconds(1).unwrap());
        assert_eq!((&*twice.secret_version, previous(&twice, now).as_deref()), ("v2", Some("v1")));
        assert_eq!(previous(&twice, "2025-12-03T10:30:01Z"), None);
    }

    #[test]
    fn a_rotation_without_an_overlap_leaves_one_secret() {
        let now = "2025-12-03T10:30:00Z";
        let none = Overlap::from_seconds(0).unwrap();
        let webhook = rotate(rotate(webhook(), "v1", now, Overlap::default()), "v2", now, none);
        assert_eq!((&*webhook.secret_version, webhook.previous_secret), ("v2", None));
    }

    #[test]
    fn an_overlap_lasts_at_most_seven_days() {
        assert!(Overlap::from_seconds(604_800).is_some());
        assert!(Overlap::from_seconds(604_801).is_none());
    }

    #[test]
    fn a_rotation_never_takes_the_label_of_a_secret_in_force() {
        let mut webhook = webhook();
        let mut previous = None;
        for number in 1..=7 {
            let next = StagingLabel::after(webhook.secret_label);
            assert!(Some(next) != webhook.secret_label && Some(next) != previous, "{number}");
            previous = webhook.secret_label;
            let version = format!("v{number}");
            webhook = rotate(webhook, &version, "2025-12-03T10:30:00Z", Overlap::default());
            assert_eq!(webhook.secret_label, Some(next));
        }
    }
}
