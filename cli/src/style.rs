//! Colours. The streams of `output` drop them unless they write to a terminal, or the user asks for them.
//!
//! The rule: a colour repeats what a word or a mark says. It never says anything alone.

use anstyle::{AnsiColor, Style};
use clap::builder::Styles;

pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Not good yet, or not for much longer.
pub(crate) const WAITING: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const HEADING: Style = Style::new().bold();

/// For help texts and errors of the command line's parser.
pub(crate) const HELP: Styles = Styles::styled()
    .header(HEADING)
    .usage(HEADING)
    .literal(AnsiColor::Cyan.on_default())
    .error(BAD.bold())
    .invalid(WAITING)
    .valid(GOOD);

/// The first words of states of deliveries, webhooks, replays and keys that have a colour, from the worst to the best.
const STATES: [(&str, Style); 12] = [
    ("failed", BAD),
    ("disabled", BAD),
    ("revoked", BAD),
    ("expired", BAD),
    ("needs", WAITING),
    ("pending", WAITING),
    ("failing", WAITING),
    ("running", WAITING),
    ("paused", WAITING),
    ("delivered", GOOD),
    ("ok", GOOD),
    ("completed", GOOD),
];

/// The style of a cell with one state, or several after commas, such as `ok, needs test`: the worst one decides.
pub(crate) fn of_state(cell: &str) -> Style {
    let begins_with =
        |word: &str| cell.split(", ").any(|state| state.split(' ').next() == Some(word));
    let worst = STATES.iter().find(|(word, _)| begins_with(word));
    worst.map_or(Style::new(), |(_, style)| *style)
}

#[cfg(test)]
mod tests {
    use webhooks::delivery::DeliveryStatus;

    use super::*;

    #[test]
    fn a_delivery_that_arrived_is_green_and_one_that_failed_is_red() {
        let of = |status: DeliveryStatus| of_state(status.as_str());
        assert_eq!(of(DeliveryStatus::Delivered), GOOD);
        assert_eq!(of(DeliveryStatus::Pending), WAITING);
        assert_eq!(of(DeliveryStatus::Failed), BAD);
        assert_eq!(of(DeliveryStatus::Skipped), Style::new());
    }

    #[test]
    fn the_first_word_of_a_state_decides() {
        assert_eq!(of_state("expired 2025-12-03T10:30:00Z"), BAD);
        assert_eq!(of_state("revoked, replaced by 550e8400"), BAD);
        assert_eq!(of_state("failed-looking"), Style::new());
        assert_eq!(of_state(""), Style::new());
    }

    #[test]
    fn of_several_states_the_worst_one_decides() {
        assert_eq!(of_state("ok, needs test"), WAITING);
        assert_eq!(of_state("disabled, needs test"), BAD);
    }
}
