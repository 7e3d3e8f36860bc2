//! Calls of the API server: each with a time limit and an error that names the operation. May: wait for a call.
//! Must never: decide what to do about its outcome.

use std::time::Duration;

/// Time limit of one call.
pub(crate) const CALL_LIMIT: Duration = Duration::from_secs(15);

/// A call of the API server that did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The server refused it, or could not be reached.
    #[error("{operation}: {source}")]
    Call { operation: String, source: Box<kube::Error> },
    /// No answer in time.
    #[error("{operation}: no answer from the API server within {} s", CALL_LIMIT.as_secs())]
    TimedOut { operation: String },
}

impl ApiError {
    fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Call { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            Self::TimedOut { .. } => None,
        }
    }

    /// Whether somebody else changed the object meanwhile.
    pub(crate) fn is_conflict(&self) -> bool {
        self.status().is_some_and(|s| s.code == 409 && s.reason != "AlreadyExists")
    }

    /// Whether an object of that name exists already.
    pub(crate) fn is_already_exists(&self) -> bool {
        self.status().is_some_and(|s| s.reason == "AlreadyExists")
    }

    /// Whether there is no such object.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status().is_some_and(|s| s.code == 404)
    }

    /// What the server says to a call that it will refuse again until a person mends something; none of other errors.
    pub(crate) fn refusal(&self) -> Option<String> {
        /// Who we are, what is gone, what another was faster with, and what was too much at once: none is about the object.
        const PASSING: [u16; 6] = [401, 404, 408, 409, 425, 429];
        let status = self.status().filter(|s| (400..500).contains(&s.code) && !PASSING.contains(&s.code))?;
        let Self::Call { operation, .. } = self else { return None };
        Some(format!("the API server refuses to {operation}: {}", status.message))
    }

    /// Reason as a label of metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::TimedOut { .. } => "ApiTimeout",
            Self::Call { .. } if self.is_conflict() => "Conflict",
            Self::Call { .. } => "ApiError",
        }
    }
}

/// `call`, with a time limit; `operation` says what it does, such as `get Job a/b`.
///
/// # Errors
/// [`ApiError`] when the server refuses, can't be reached or is too slow.
pub(crate) async fn timed<T>(
    operation: impl Into<String>,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, ApiError> {
    match tokio::time::timeout(CALL_LIMIT, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(ApiError::Call { operation: operation.into(), source: Box::new(source) }),
        Err(_) => Err(ApiError::TimedOut { operation: operation.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_what_a_person_has_to_mend_and_is_quoted() {
        let refusal = |code: u16, reason: &str| {
            let status: kube::core::Status = serde_json::from_value(
                serde_json::json!({"status": "Failure", "code": code, "reason": reason, "message": "Job.batch \"j\" is invalid"}),
            )
            .unwrap();
            let source = Box::new(kube::Error::Api(Box::new(status)));
            ApiError::Call { operation: "create Job a/j".into(), source }.refusal()
        };
        let told = "the API server refuses to create Job a/j: Job.batch \"j\" is invalid";
        for (code, reason) in [(422, "Invalid"), (403, "Forbidden"), (400, "BadRequest")] {
            assert_eq!(refusal(code, reason).as_deref(), Some(told), "{code}");
        }
        for code in [401, 404, 409, 429, 500, 503] {
            assert_eq!(refusal(code, ""), None, "{code}");
        }
        assert_eq!(ApiError::TimedOut { operation: "create Job a/j".into() }.refusal(), None);
    }
}
