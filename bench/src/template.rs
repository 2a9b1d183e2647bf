//! Reads numbers of the deployed stack from `template.yaml`.

const TEMPLATE: &str = include_str!("../../template.yaml");

/// The first number at `key` in the section named `section`.
pub(crate) fn number(section: &str, key: &str) -> u32 {
    let (_, section) =
        TEMPLATE.split_once(&format!("\n  {section}:\n")).expect("the template has the section");
    // The section ends at the first line that is not indented deeper than its name.
    let lines = section.lines().take_while(|line| line.is_empty() || line.starts_with("   "));
    lines
        .filter_map(|line| line.trim().split_once(": "))
        .filter(|(name, _)| *name == key)
        .find_map(|(_, value)| value.parse().ok())
        .expect("the section gives the key a number")
}

/// Number of resources of a type.
pub(crate) fn count(resource_type: &str) -> usize {
    TEMPLATE.matches(&format!("Type: {resource_type}\n")).count()
}

/// Number of metrics that alarms watch. An alarm on metric math watches several, and each of them is charged.
pub(crate) fn alarm_metrics() -> usize {
    TEMPLATE.matches("MetricName: ").count() - count("AWS::Logs::MetricFilter")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alarm_watches_a_metric_or_more() {
        assert_eq!((count("AWS::CloudWatch::Alarm"), alarm_metrics()), (32, 39));
    }

    #[test]
    #[should_panic(expected = "the section gives the key a number")]
    fn a_key_of_another_section_is_not_found() {
        number("DeadLetterQueue", "VisibilityTimeout");
    }
}
