//! The token that the application's own HTTP API asks for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bugle_runtime::{DataFolder, DataFolderError};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// The file of the token in the data folder.
pub(crate) const TOKEN_FILE: &str = "application.token";
const TOKEN_BYTES: usize = 32;

/// A token. Never shown.
#[derive(Clone)]
pub(crate) struct Token(String);

/// Why there is no token.
#[derive(Debug, Error)]
pub enum TokenError {
    /// Its file cannot be read or written.
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

impl Token {
    /// The token in the data folder; a new one if there is none.
    pub(crate) fn open(folder: &DataFolder) -> Result<Self, TokenError> {
        if let Some(text) = folder.read(TOKEN_FILE)?.filter(|text| !text.trim().is_empty()) {
            return Ok(Self(text.trim().to_owned()));
        }
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).map_err(TokenError::Random)?;
        let token = Self(URL_SAFE_NO_PAD.encode(bytes));
        folder.write(TOKEN_FILE, token.0.as_bytes())?;
        Ok(token)
    }

    /// Whether `shown` is this token, in a time that does not tell how much of it is right.
    pub(crate) fn is(&self, shown: &str) -> bool {
        self.0.as_bytes().ct_eq(shown.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_read_again() {
        let outer = tempfile::tempdir().expect("a folder");
        let folder = DataFolder::open(outer.path()).expect("a data folder");
        let made = Token::open(&folder).expect("a token");
        assert!(made.0.len() >= 43);
        assert!(Token::open(&folder).expect("a token").is(&made.0));
        assert!(!made.is("") && !made.is(&made.0[1..]));
    }
}
