//! The short code under which a run can be seen again.
//!
//! `1:cpu-1.x/abort:straight@17` reads: format 1, target `cpu-1.x`, scenario `abort`, straight on with the
//! intruder at point 17.

use crate::machine::Plan;
use std::fmt;
use std::str::FromStr;

/// The version of the schedule. It changes whenever the same plan would lead to another run: another generator,
/// another order of choices, another place of the points in the machine.
pub const SCHEDULE_VERSION: u32 = 1;

/// Names one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayCode {
    /// What was checked.
    pub target: String,
    /// In which scenario.
    pub scenario: String,
    /// Under which plan.
    pub plan: Plan,
}

impl fmt::Display for ReplayCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{SCHEDULE_VERSION}:{}/{}:{}",
            self.target, self.scenario, self.plan
        )
    }
}

/// Why a replay code was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadCode {
    /// It does not have the form of a code.
    Malformed,
    /// It is of another version of the schedule.
    OtherVersion(u32),
}

impl fmt::Display for BadCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => {
                write!(
                    f,
                    "a code looks like {SCHEDULE_VERSION}:cpu-1.x/abort:straight@17"
                )
            }
            Self::OtherVersion(version) => write!(
                f,
                "it was made by schedule version {version}, this is version {SCHEDULE_VERSION}; use the release that printed it"
            ),
        }
    }
}

impl std::error::Error for BadCode {}

impl FromStr for ReplayCode {
    type Err = BadCode;

    fn from_str(text: &str) -> Result<Self, BadCode> {
        let mut parts = text.splitn(3, ':');
        let mut part = || parts.next().ok_or(BadCode::Malformed);
        let version: u32 = part()?.parse().map_err(|_| BadCode::Malformed)?;
        let (target, scenario) = part()?.split_once('/').ok_or(BadCode::Malformed)?;
        let plan = part()?;
        if version != SCHEDULE_VERSION {
            return Err(BadCode::OtherVersion(version));
        }
        let plan = Plan::parse(plan).ok_or(BadCode::Malformed)?;
        Ok(Self {
            target: target.to_owned(),
            scenario: scenario.to_owned(),
            plan,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_back() {
        let code = ReplayCode {
            target: "cpu-1.x".into(),
            scenario: "abort".into(),
            plan: Plan::straight().strike_at(17),
        };
        assert_eq!(code.to_string(), "1:cpu-1.x/abort:straight@17");
        assert_eq!(code.to_string().parse(), Ok(code));
    }

    #[test]
    fn a_code_of_another_version_says_so() {
        assert_eq!("9:a/b:s1".parse::<ReplayCode>(), Err(BadCode::OtherVersion(9)));
        for text in ["", "1", "1:a", "1:a/b", "1:a/b:", "x:a/b:s1", "1:ab:s1"] {
            assert_eq!(text.parse::<ReplayCode>(), Err(BadCode::Malformed), "{text}");
        }
    }
}
