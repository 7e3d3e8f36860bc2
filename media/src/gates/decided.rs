//! Gates over what was decided before: receipts, by path or by fingerprint (a renamed file is still the same).

use av1_crds::figures;
use av1_crds::reasons::{self, Standing};
use av1_crds::settings::ReplacementMode;
use av1_crds::wire::{EncodeVerdict, FileIdentity, FileState};
use jiff::Timestamp;

use super::{Facts, Rules, Verdict};
use crate::identity::same_content;
use crate::receipt::{Receipt, settings_digest};

/// Reasons of an encode pod that this chain judges afresh, because they are not about the content of the file.
const JUDGED_AFRESH: [&str; 7] = [
    reasons::SKIP_MARKER,
    reasons::TOO_SMALL,
    reasons::HARD_LINKED,
    reasons::OTHER_OWNER,
    reasons::FOLDER_NOT_WRITABLE,
    reasons::NOT_REGULAR,
    reasons::NOT_FOUND,
];

/// Reasons for which an encode was given up that are the cluster's, the volume's or the image's, not the file's.
const OF_THE_SURROUNDINGS: [&str; 4] =
    [reasons::POD_LOST, reasons::NO_SPACE, reasons::IO_ERROR, reasons::TOOLS_UNUSABLE];
/// Nanoseconds that such a decision stands: by then the cause may be put right, and if not, a try a day costs little.
const A_DAY: i64 = 86_400 * 1_000_000_000;

/// What a gate needs of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Path below the library's root, at that time.
    pub path: String,
    /// When, RFC 3339.
    pub at: String,
    /// What the encode came to.
    pub verdict: EncodeVerdict,
    /// One of [`av1_crds::reasons`].
    pub reason: String,
    /// What happened, with the figures.
    pub message: String,
    /// The file that was judged.
    pub source: FileIdentity,
    /// The file that replaced it.
    pub result: Option<FileIdentity>,
    /// Digest of the settings that decided.
    pub settings_digest: String,
    /// What became of an output.
    pub mode: ReplacementMode,
}

impl Decision {
    /// Whether it is about a file of this size, as source or as result.
    #[must_use]
    pub fn is_about_size(&self, size: u64) -> bool {
        self.source.size == size || self.result.as_ref().is_some_and(|result| result.size == size)
    }

    /// Whether it is not over at that time, nanoseconds since 1970. That it stands does not say that it hinders an encode.
    #[must_use]
    pub fn stands_at(&self, now_ns: i64) -> bool {
        let at = || self.at.parse::<Timestamp>().ok().and_then(|at| i64::try_from(at.as_nanosecond()).ok());
        !self.is_of_the_surroundings() || at().is_none_or(|at| now_ns.saturating_sub(at) < A_DAY)
    }

    /// Whether an encode was given up for what is not the file's.
    fn is_of_the_surroundings(&self) -> bool {
        self.verdict == EncodeVerdict::Failed && OF_THE_SURROUNDINGS.contains(&self.reason.as_str())
    }
}

impl From<&Receipt> for Decision {
    fn from(receipt: &Receipt) -> Self {
        Self {
            path: receipt.path.clone(),
            at: receipt.at.clone(),
            verdict: receipt.verdict,
            reason: receipt.reason.clone(),
            message: receipt.message.clone(),
            source: receipt.source.clone(),
            result: receipt.result.clone(),
            settings_digest: receipt.settings_digest.clone(),
            mode: receipt.settings.replacement_mode,
        }
    }
}

/// The file is the unchanged result of one of our encodes.
pub(super) fn already_done(facts: &Facts, _: &Rules) -> Option<Verdict> {
    let (decisions, identity) = (facts.decisions.as_ref()?, facts.identity.as_ref()?);
    let done = decisions
        .iter()
        .find(|decision| decision.result.as_ref().is_some_and(|result| same_content(result, identity)))?;
    let (before, now) = (figures::size(done.source.size), figures::size(identity.size));
    if done.mode != ReplacementMode::Replace {
        let message = format!("is the AV1 version of {:?}, made on {}", done.path, done.at);
        return Some(Verdict::skipped(reasons::ALREADY_DONE, message));
    }
    let message = format!("replaced on {}: {before} before, {now} now", done.at);
    Some(Verdict {
        size_before: Some(done.source.size),
        ..Verdict::new(FileState::Done, reasons::ALREADY_DONE, message)
    })
}

/// The newest decision about this very file still stands.
pub(super) fn decided_before(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    let (decisions, identity) = (facts.decisions.as_ref()?, facts.identity.as_ref()?);
    // A copy elsewhere of a file that was replaced is a file of its own.
    let about_it = |decision: &&Decision| !rules.again && same_content(&decision.source, identity);
    let newest = decisions.iter().filter(about_it).find(|decision| {
        let replaced = decision.verdict == EncodeVerdict::Encoded && decision.mode == ReplacementMode::Replace;
        !replaced || decision.path == facts.path
    })?;
    let same_settings = || newest.settings_digest == settings_digest(&rules.settings);
    if newest.reason == reasons::RESTORED_BY_USER {
        let message = format!(
            "the original was brought back on {} at the user's wish: ask for a retry to have it encoded again",
            newest.at
        );
        return Some(Verdict::skipped(reasons::RESTORED_BY_USER, message));
    }
    let told = format!("{} (decided on {})", newest.message, newest.at);
    match newest.verdict {
        EncodeVerdict::Encoded if newest.mode != ReplacementMode::Replace => {
            // Another mode asks for something else to be done with an output.
            (same_settings() && newest.mode == rules.settings.replacement_mode)
                .then(|| Verdict::skipped(reasons::ALREADY_DONE, told))
        }
        EncodeVerdict::Encoded => {
            let message = format!(
                "was replaced on {}, and somebody has put the original back: ask for a retry to have it encoded again",
                newest.at
            );
            Some(Verdict::skipped(reasons::SKIPPED_BEFORE, message))
        }
        EncodeVerdict::Rejected => {
            same_settings().then(|| Verdict::new(FileState::Rejected, reasons::ALREADY_REJECTED, told))
        }
        EncodeVerdict::Failed => newest.stands_at(facts.now_ns).then(|| {
            let until = if newest.is_of_the_surroundings() { "; tried again a day later" } else { "" };
            let message = format!("{}: {told}{until}", newest.reason);
            Verdict::new(FileState::Failed, reasons::FAILED_BEFORE, message)
        }),
        EncodeVerdict::Skipped => {
            let stands = reasons::standing(&newest.reason) == Standing::Final
                && !JUDGED_AFRESH.contains(&newest.reason.as_str());
            let state = match newest.reason.as_str() {
                reasons::ALREADY_AV1 => FileState::AlreadyAv1,
                reasons::UNREADABLE => FileState::Unreadable,
                _ => FileState::Skipped,
            };
            // What the user wished does not change with the settings.
            let wished = newest.reason == reasons::CANCELLED_BY_USER;
            (stands && (wished || same_settings())).then(|| Verdict::new(state, &newest.reason, told))
        }
    }
}
