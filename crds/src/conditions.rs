//! Condition types of both kinds and the reasons that are not verdicts on a file (those are in [`crate::reasons`]).

macro_rules! constants {
    ($table:ident, $about:literal; $($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+) => {
        $($(#[doc = $doc])+ pub const $name: &str = $text;)+
        #[doc = $about]
        pub const $table: &[(&str, &str)] = &[$(($text, concat!($($doc),+))),+];
    };
}

constants! {
    ALL, "Every condition type with its kind and meaning.";
    /// MediaLibrary: the volume is there, ours, writable and can do what a safe replacement needs.
    STORAGE_READY = "StorageReady";
    /// MediaLibrary: the catalog answers.
    CATALOG_READY = "CatalogReady";
    /// MediaLibrary: at least one job encodes or settles.
    ENCODING = "Encoding";
    /// MediaLibrary: something needs a person; the message says what.
    DEGRADED = "Degraded";
    /// MediaLibrary: work goes on by itself.
    READY = "Ready";

    /// EncodeJob: the encode pod has a node.
    PLACED = "Placed";
    /// EncodeJob: the encode pod has whole CPUs of its own.
    PINNED = "Pinned";
    /// EncodeJob: every check of the output passed.
    VALIDATED = "Validated";
    /// EncodeJob: the output is small enough to replace the source.
    SIZE_GATE_PASSED = "SizeGatePassed";
    /// EncodeJob: the outcome is on the volume.
    SETTLED = "Settled";
    /// EncodeJob: a terminal phase was reached.
    COMPLETE = "Complete";
}

/// Reasons of conditions: PascalCase constants, each with its meaning.
pub mod reason {
    constants! {
        ALL, "Every reason of a condition with its meaning.";
        /// All is well.
        AS_EXPECTED = "AsExpected";
        /// A step that comes before has not ended yet.
        IN_PROGRESS = "InProgress";
        /// Nothing to do at the moment.
        IDLE = "Idle";
        /// `spec.suspend` is true.
        SUSPENDED = "Suspended";
        /// No window of `spec.schedule` is open; the message says when the next one opens.
        OUTSIDE_SCHEDULE = "OutsideSchedule";
        /// The last jobs all failed, as many as `failurePolicy.pauseAfterConsecutiveFailures` says; the message tells the last one.
        CONSECUTIVE_FAILURES = "ConsecutiveFailures";
        /// Kueue has not admitted the encode yet.
        WAITING_FOR_QUEUE = "WaitingForQueue";
        /// The claim named in `spec.volume` does not exist or is not bound.
        CLAIM_NOT_FOUND = "ClaimNotFound";
        /// The claim's access mode cannot serve a library (ReadWriteOncePod, ReadOnlyMany).
        ACCESS_MODE = "AccessMode";
        /// `spec.volume.hostPath.path` is not below a prefix that the operator was started with.
        HOST_PATH_NOT_ALLOWED = "HostPathNotAllowed";
        /// The files belong to root and the operator does not allow user 0.
        ROOT_NOT_ALLOWED = "RootNotAllowed";
        /// Preparing the volume failed; the message says what was tried.
        PREPARE_FAILED = "PrepareFailed";
        /// The volume is ready, but can neither exchange two names nor make hard links that are seen to be one file (mergerfs
        /// does when mounted with `use_ino`): while a file is replaced, its name is empty for an instant, and after a crash in
        /// that instant until the next settle pod has run.
        SWAP_HAS_GAP = "SwapHasGap";
        /// The volume holds another library's data than before.
        WRONG_VOLUME = "WrongVolume";
        /// Another library or cluster owns the volume and is alive.
        OWNED_BY_ANOTHER = "OwnedByAnother";
        /// A setting cannot work; the message names it.
        INVALID_SETTINGS = "InvalidSettings";
        /// The encoder cannot be asked for what `encode` says; the message has the key and what is allowed.
        INVALID_ENCODER_PARAMS = "InvalidEncoderParams";
        /// The catalog's pod is not ready; the message quotes why.
        CATALOG_UNAVAILABLE = "CatalogUnavailable";
        /// Free space fell below `spec.storage.minFreePercent`.
        LOW_SPACE = "LowSpace";
        /// The API server refuses what the operator is to make or change (a field that it does not take, a quota, a policy); the message
        /// quotes it. It is tried again every minute or so.
        REFUSED = "Refused";
        /// No node fits the pod; the message quotes the scheduler.
        UNSCHEDULABLE = "Unschedulable";
        /// The pod has a node and does not start there: its image or a volume is not to be had.
        NOT_STARTED = "NotStarted";
        /// The pod's CPUs are shared with other pods.
        SHARED_CPUS = "SharedCpus";
        /// The pod's CPUs are its own.
        EXCLUSIVE_CPUS = "ExclusiveCpus";
        /// Some checks failed; `status.checks` lists them.
        CHECKS_FAILED = "ChecksFailed";
        /// The output is not small enough.
        NOT_SMALLER = "NotSmaller";
        /// Another live job works on the same file.
        WAITING_FOR_OTHER_JOB = "WaitingForOtherJob";
        /// `concurrency.maxJobs` encodes run already.
        WAITING_FOR_SLOT = "WaitingForSlot";
        /// The library is not ready.
        WAITING_FOR_LIBRARY = "WaitingForLibrary";
    }
}
