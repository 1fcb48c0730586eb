//! SSH signatures (SSHSIG, `PROTOCOL.sshsig` of OpenSSH), checked over exact bytes.
//!
//! Owns what a signature must be to count. Must not know whose key it is or what the bytes say:
//! that is asked only after the signature was found good.

use ssh_key::{Algorithm, HashAlg, PublicKey, SshSig, public::KeyData};

use crate::{base::visible::escape_line, model::approval::NAMESPACE};

/// Largest armoured signature that is looked at, in bytes; an RSA one of 8192 bits has about 3 KiB.
pub const MAX_SIGNATURE: usize = 16 * 1024;

/// RSA keys with fewer bits do not count.
const MIN_RSA_BITS: u32 = 2048;

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// A security key sets this bit when somebody touched it (`PROTOCOL.u2f`).
const TOUCHED: u8 = 0x01;

/// Which key made a signature that was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBy {
    /// `SHA256:` and the digest of the public key in base64, as `ssh-keygen -l` shows it.
    pub fingerprint: String,
    /// The signature's algorithm: `ssh-ed25519`, `rsa-sha2-512`, ….
    pub algorithm: String,
}

/// Checks an armoured signature over these bytes, for the namespace `runward`.
///
/// Accepted: Ed25519, ECDSA on the NIST curves, RSA from 2048 bits with SHA-2, and security keys
/// (`sk-`) that were touched. The error says why it does not count and what to do.
pub fn verify(message: &[u8], armoured: &str) -> Result<SignedBy, String> {
    let signature = read(armoured)?;
    if signature.namespace() != NAMESPACE {
        return Err(format!(
            "the signature was made for `{}` and not for `{NAMESPACE}`; sign with \
             `ssh-keygen -Y sign -n {NAMESPACE}`",
            escape_line(signature.namespace())
        ));
    }
    acceptable(&signature)?;
    PublicKey::from(signature.public_key().clone())
        .verify(NAMESPACE, message, &signature)
        .map_err(|_| {
            "the signature does not fit these bytes: they were changed after they were signed, or \
             something else was signed; fetch the request again and sign exactly that file"
                .to_owned()
        })?;
    Ok(SignedBy {
        fingerprint: fingerprint_of(signature.public_key()),
        algorithm: signature.algorithm().as_str().to_owned(),
    })
}

/// The `SHA256:…` fingerprint of a public key in OpenSSH's one-line form.
pub fn fingerprint(public_key: &str) -> Result<String, String> {
    parse_key(public_key).map(|key| fingerprint_of(key.key_data()))
}

/// A plain public key in OpenSSH's one-line form.
pub(super) fn parse_key(text: &str) -> Result<PublicKey, String> {
    let text = text.trim();
    if text.split(' ').next().is_some_and(|kind| kind.ends_with("-cert-v01@openssh.com")) {
        return Err("it is a certificate; give the plain key that it certifies".to_owned());
    }
    PublicKey::from_openssh(text)
        .map_err(|_| "it is no public key in OpenSSH's form (`ssh-ed25519 AAAA… name`)".to_owned())
}

/// The fingerprint as `ssh-keygen -l` shows it.
pub(super) fn fingerprint_of(key: &KeyData) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Takes the armour off. The reader of the library allows words before the first line; here only
/// one signature and nothing else may stand.
fn read(armoured: &str) -> Result<SshSig, String> {
    let text = armoured.trim_ascii();
    if text.len() > MAX_SIGNATURE {
        return Err(format!(
            "the signature has {} bytes, over the limit of {MAX_SIGNATURE}; give the file that \
             `ssh-keygen -Y sign` wrote",
            text.len()
        ));
    }
    match (text.matches(BEGIN).count(), text.matches(END).count()) {
        (0, _) => {
            return Err(format!(
                "this is no SSH signature: it does not start with `{BEGIN}`; give the `.sig` file \
                 that `ssh-keygen -Y sign` wrote"
            ));
        }
        (1, 1) => {}
        (1, 0) => {
            return Err("the signature is cut off: its last line is missing; copy the whole file"
                .to_owned());
        }
        _ => {
            return Err(
                "there are several signatures in one; give each approval by itself".to_owned()
            );
        }
    }
    if !text.starts_with(BEGIN) || !text.ends_with(END) {
        return Err("there is other text around the signature; give the signature alone".to_owned());
    }
    SshSig::from_pem(text).map_err(|error| format!("the signature can't be read: {}", why(&error)))
}

fn why(error: &ssh_key::Error) -> &'static str {
    use ssh_key::Error;
    match error {
        Error::Version { .. } => "it has a newer version than 1; sign with OpenSSH's `ssh-keygen`",
        Error::Namespace => "it names no purpose; sign with `ssh-keygen -Y sign -n runward`",
        Error::Encoding(ssh_key::encoding::Error::Label(_)) => {
            "it uses a hash or curve that does not count; sign with sha512 or sha256"
        }
        Error::TrailingData { .. } => "bytes follow its end; sign again",
        _ => "it is damaged, or of a kind that is not known; sign again and copy the whole file",
    }
}

/// Is it made with an algorithm that counts, by a key of that very kind?
fn acceptable(signature: &SshSig) -> Result<(), String> {
    let key = signature.public_key();
    let algorithm = signature.algorithm();
    if key.is_certificate() {
        return Err("it was signed with an SSH certificate, which does not count here; sign with \
                    the plain key (`ssh-keygen -Y sign -f KEY`, without `-cert.pub`) and list that \
                    key in `people`"
            .to_owned());
    }
    let fits = match (key, &algorithm) {
        (KeyData::Rsa(_), Algorithm::Rsa { hash: None }) => {
            return Err("the signature is RSA with SHA-1, which is broken and does not count; \
                        sign with `ssh-keygen -Y sign` of OpenSSH 8.2 or newer"
                .to_owned());
        }
        (KeyData::Rsa(rsa), Algorithm::Rsa { hash: Some(_) }) => {
            if rsa.key_size() < MIN_RSA_BITS {
                return Err(format!(
                    "the RSA key has {} bits, fewer than {MIN_RSA_BITS}; make a new key with \
                     `ssh-keygen -t ed25519` and list it in `people`",
                    rsa.key_size()
                ));
            }
            true
        }
        (KeyData::Ed25519(_), Algorithm::Ed25519) => true,
        (KeyData::Ecdsa(ecdsa), Algorithm::Ecdsa { curve }) => ecdsa.curve() == *curve,
        (KeyData::SkEd25519(_), Algorithm::SkEd25519)
        | (KeyData::SkEcdsaSha2NistP256(_), Algorithm::SkEcdsaSha2NistP256) => {
            return touched(signature.signature_bytes());
        }
        _ => false,
    };
    fits.then_some(()).ok_or_else(|| {
        format!(
            "a `{}` signature by a `{}` key does not count; sign with an Ed25519, ECDSA or RSA key",
            escape_line(algorithm.as_str()),
            escape_line(key.algorithm().as_str())
        )
    })
}

/// The signature of a security key ends with one byte of flags and a counter of four.
fn touched(bytes: &[u8]) -> Result<(), String> {
    let flags = bytes.len().checked_sub(5).and_then(|at| bytes.get(at)).copied().unwrap_or(0);
    (flags & TOUCHED != 0).then_some(()).ok_or_else(|| {
        "the security key signed without being touched, so nobody was asked; use a key made \
         without `no-touch-required`"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use russh::keys::signature::Signer;
    use ssh_key::{
        Mpint, Signature,
        encoding::Encode,
        private::Ed25519Keypair,
        public::{EcdsaPublicKey, SkEcdsaSha2NistP256, SkEd25519},
    };

    use super::*;

    fn ed25519(seed: u8) -> ssh_key::PrivateKey {
        ssh_key::PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
    }

    fn armour(signature: &SshSig) -> String {
        signature.to_pem(ssh_key::LineEnding::LF).unwrap()
    }

    fn sign(message: &[u8]) -> String {
        armour(&ed25519(1).sign(NAMESPACE, HashAlg::Sha512, message).unwrap())
    }

    #[test]
    fn a_good_signature_names_its_key() {
        let by = verify(b"change", &sign(b"change")).unwrap();
        let public = ed25519(1).public_key().to_openssh().unwrap();
        assert_eq!(by.fingerprint, fingerprint(&public).unwrap());
        assert!(by.fingerprint.starts_with("SHA256:"));
        assert_eq!(by.algorithm, "ssh-ed25519");
    }

    #[test]
    fn another_byte_another_namespace_and_another_hash_do_not_count() {
        assert!(verify(b"chango", &sign(b"change")).unwrap_err().contains("does not fit"));
        assert!(verify(b"", &sign(b"change")).is_err());
        let git = armour(&ed25519(1).sign("git", HashAlg::Sha512, b"m").unwrap());
        assert!(verify(b"m", &git).unwrap_err().contains("made for `git`"));
        let sha256 = armour(&ed25519(1).sign(NAMESPACE, HashAlg::Sha256, b"m").unwrap());
        assert!(verify(b"m", &sha256).is_ok());

        let mut bytes = Vec::new();
        ed25519(1).sign(NAMESPACE, HashAlg::Sha256, b"m").unwrap().encode(&mut bytes).unwrap();
        let at = bytes.windows(6).position(|w| w == b"sha256").unwrap();
        bytes[at..at + 6].copy_from_slice(b"sha224");
        let text = pem(&bytes);
        assert!(verify(b"m", &text).unwrap_err().contains("sha512 or sha256"));
    }

    fn pem(bytes: &[u8]) -> String {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let body = STANDARD.encode(bytes);
        let lines: Vec<_> =
            body.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"))
    }

    #[test]
    fn only_one_whole_signature_may_stand() {
        let good = sign(b"m");
        for (text, says) in [
            (String::new(), "no SSH signature"),
            ("hello".to_owned(), "no SSH signature"),
            (format!("{good}{good}"), "several"),
            (format!("{good}trailing"), "other text"),
            (format!("Dear all,\n{good}"), "other text"),
            (good[..100].to_owned(), "cut off"),
            (good.replacen("U1NIU0lH", "U1NIU0lI", 1), "can't be read"),
            (format!("{BEGIN}\n{}\n{END}\n", "A".repeat(MAX_SIGNATURE)), "over the limit"),
            (format!("{BEGIN}\n{END}\n"), "can't be read"),
        ] {
            let error = verify(b"m", &text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        let mut bytes = Vec::new();
        ed25519(1).sign(NAMESPACE, HashAlg::Sha256, b"m").unwrap().encode(&mut bytes).unwrap();
        assert!(verify(b"m", &pem(&bytes)).is_ok());
        bytes.push(0);
        assert!(verify(b"m", &pem(&bytes)).is_err());
        assert!(verify(b"m", &format!("\n {}\r\n", good.replace('\n', "\r\n").trim())).is_ok());
    }

    /// What a security key signs: digest of the application, flags, counter, digest of the message.
    fn sk_message(flags: u8, message: &[u8]) -> Vec<u8> {
        let sha256 = |bytes: &[u8]| ring::digest::digest(&ring::digest::SHA256, bytes);
        let mut out = sha256(b"ssh:").as_ref().to_vec();
        out.extend([flags, 0, 0, 0, 7]);
        out.extend(sha256(message).as_ref());
        out
    }

    fn sk_armour(key: KeyData, algorithm: Algorithm, mut data: Vec<u8>, flags: u8) -> String {
        data.extend([flags, 0, 0, 0, 7]);
        let signature = Signature::new(algorithm, data).unwrap();
        armour(&SshSig::new(key, NAMESPACE, HashAlg::Sha512, signature).unwrap())
    }

    fn sk_ed25519(flags: u8, message: &[u8]) -> String {
        let pair = Ed25519Keypair::from_seed(&[2; 32]);
        let blob = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, message).unwrap();
        let signed: Signature = pair.try_sign(&sk_message(flags, &blob)).unwrap();
        let key = KeyData::SkEd25519(SkEd25519::new(pair.public, "ssh:"));
        sk_armour(key, Algorithm::SkEd25519, signed.as_bytes().to_vec(), flags)
    }

    /// Signed by another library than the one that verifies.
    fn sk_ecdsa(flags: u8, message: &[u8]) -> String {
        use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
        let random = ring::rand::SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        let blob = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, message).unwrap();
        let signed = pair.sign(&random, &sk_message(flags, &blob)).unwrap();
        let mut data = Vec::new();
        for number in signed.as_ref().chunks(32) {
            Mpint::from_positive_bytes(number).encode(&mut data).unwrap();
        }
        let point = EcdsaPublicKey::from_sec1_bytes(pair.public_key().as_ref()).unwrap();
        let EcdsaPublicKey::NistP256(point) = point else { panic!("another curve") };
        let key = KeyData::SkEcdsaSha2NistP256(SkEcdsaSha2NistP256::new(point, "ssh:"));
        sk_armour(key, Algorithm::SkEcdsaSha2NistP256, data, flags)
    }

    #[test]
    fn a_security_key_must_have_been_touched() {
        for make in [sk_ed25519, sk_ecdsa] {
            let by = verify(b"m", &make(1, b"m")).unwrap();
            assert!(by.algorithm.starts_with("sk-"), "{}", by.algorithm);
            assert!(verify(b"n", &make(1, b"m")).unwrap_err().contains("does not fit"));
            let untouched = verify(b"m", &make(0, b"m")).unwrap_err();
            assert!(untouched.contains("touched"), "{untouched}");
        }
    }

    #[test]
    fn a_signature_of_another_kind_than_its_key_does_not_count() {
        let pair = Ed25519Keypair::from_seed(&[2; 32]);
        let blob = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, b"m").unwrap();
        let signed: Signature = pair.try_sign(&sk_message(1, &blob)).unwrap();
        let mut data = signed.as_bytes().to_vec();
        data.extend([1, 0, 0, 0, 7]);
        let key = KeyData::SkEd25519(SkEd25519::new(pair.public, "ssh:"));
        let rsa = Signature::new(Algorithm::Rsa { hash: Some(HashAlg::Sha512) }, data).unwrap();
        let text = armour(&SshSig::new(key, NAMESPACE, HashAlg::Sha512, rsa).unwrap());
        assert!(verify(b"m", &text).unwrap_err().contains("does not count"));
    }
}
