//! Cipher suites.

use crate::crypto::Aead;

/// secp256r1, the curve of every key exchange and of our own signatures.
pub(crate) const NAMED_CURVE: u16 = 23;

/// ECDSA with SHA-256, which we sign with and verify, and with SHA-384, which we verify.
pub(crate) const SIGNATURE_SCHEMES: [u16; 2] = [0x0403, 0x0503];

/// How peers prove who they are, and how records are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CipherSuite {
    /// `TLS_PSK_WITH_AES_128_CCM_8`, which every LwM2M client with pre-shared keys has.
    PskAes128Ccm8,
    /// `TLS_PSK_WITH_AES_128_CCM`.
    PskAes128Ccm,
    /// `TLS_PSK_WITH_AES_128_GCM_SHA256`.
    PskAes128Gcm,
    /// `TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8`, which every LwM2M client with certificates has.
    EcdheEcdsaAes128Ccm8,
    /// `TLS_ECDHE_ECDSA_WITH_AES_128_CCM`.
    EcdheEcdsaAes128Ccm,
    /// `TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256`.
    EcdheEcdsaAes128Gcm,
}

impl CipherSuite {
    /// All that there are.
    pub const ALL: [Self; 6] = [
        Self::EcdheEcdsaAes128Gcm,
        Self::EcdheEcdsaAes128Ccm,
        Self::EcdheEcdsaAes128Ccm8,
        Self::PskAes128Gcm,
        Self::PskAes128Ccm,
        Self::PskAes128Ccm8,
    ];

    /// Its number in the registry.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::PskAes128Ccm8 => 0xc0a8,
            Self::PskAes128Ccm => 0xc0a4,
            Self::PskAes128Gcm => 0x00a8,
            Self::EcdheEcdsaAes128Ccm8 => 0xc0ae,
            Self::EcdheEcdsaAes128Ccm => 0xc0ac,
            Self::EcdheEcdsaAes128Gcm => 0xc02b,
        }
    }

    pub(crate) fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.code() == code)
    }

    /// Whether peers show certificates. Otherwise they share a key.
    #[must_use]
    pub const fn uses_certificates(self) -> bool {
        matches!(self, Self::EcdheEcdsaAes128Ccm8 | Self::EcdheEcdsaAes128Ccm | Self::EcdheEcdsaAes128Gcm)
    }

    pub(crate) const fn aead(self) -> Aead {
        match self {
            Self::PskAes128Ccm8 | Self::EcdheEcdsaAes128Ccm8 => Aead::Aes128Ccm8,
            Self::PskAes128Ccm | Self::EcdheEcdsaAes128Ccm => Aead::Aes128Ccm,
            Self::PskAes128Gcm | Self::EcdheEcdsaAes128Gcm => Aead::Aes128Gcm,
        }
    }
}
