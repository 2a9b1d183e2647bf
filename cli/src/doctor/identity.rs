//! The caller's credentials: they work, and the finding names the account, so that the user can see whether it is the
//! right one.

use aws_sdk_sts::Client;
use aws_types::SdkConfig;

use super::failure::Failure;
use super::finding::{Finding, Problem};

const CHECK: &str = "credentials";

/// The finding, and why nothing else can be checked if that is so. Needs no permission.
pub(crate) async fn finding(config: &SdkConfig) -> (Finding, Option<&'static str>) {
    let identity = Client::new(config).get_caller_identity().send().await;
    let identity = identity.map_err(Failure::of("sts:GetCallerIdentity"));
    let region = config.region().map_or("no region", AsRef::as_ref);
    judge(identity.map(|identity| identity.arn.unwrap_or_default()), region)
}

fn judge(identity: Result<String, Failure>, region: &str) -> (Finding, Option<&'static str>) {
    match identity {
        Ok(arn) => (Finding::ok(CHECK, format!("{arn} in {region}")), None),
        Err(Failure::Refused { message, .. }) => {
            let problem = Problem::fault(
                format!("AWS refuses your credentials: {message}."),
                "Log in again (`aws sso login`), or set AWS_PROFILE or AWS_ACCESS_KEY_ID.",
            );
            (Finding::of(CHECK, "", &[problem]), Some("the credentials do not work"))
        }
        Err(failure) => {
            let reason = match failure {
                Failure::NoAnswer(_) => "AWS does not answer",
                _ => "the credentials do not work",
            };
            (Finding::of(CHECK, "", &[failure.problem()]), Some(reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_aws_refuses_must_be_renewed() {
        let refused =
            Failure::Refused { action: "sts:X", message: "The token is expired".to_owned() };
        let (finding, reason) = judge(Err(refused), "eu-west-1");
        let text = finding.text();
        assert!(text.contains("The token is expired. Log in again"), "{text}");
        assert_eq!(reason, Some("the credentials do not work"));
        let (fine, reason) = judge(Ok("arn:aws:iam::1:user/a".to_owned()), "eu-west-1");
        assert_eq!(reason, None);
        assert!(fine.text().ends_with("credentials: arn:aws:iam::1:user/a in eu-west-1"));
    }

    #[test]
    fn a_call_without_an_answer_says_nothing_about_the_credentials() {
        let (finding, reason) = judge(Err(Failure::NoAnswer("sts:X")), "eu-west-1");
        assert!(finding.is_fault() && !finding.text().contains("credentials d"), "{finding:?}");
        assert_eq!(reason, Some("AWS does not answer"));
    }
}
