//! Why the command ends without a result.

/// One line that says what went wrong and what to do; the exit status is 2.
#[derive(Debug)]
pub(crate) struct Stop(pub(crate) String);

impl Stop {
    pub(crate) fn because(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self(format!("the result could not be written: {error}"))
    }
}
