//! Reads one field from the subject of a client certificate, as Envoy prints it.
//!
//! ```text
//! subject = rdn *( "," rdn )                          in reverse order of the certificate
//! rdn     = pair *( "+" pair )
//! pair    = type "=" value
//! value   = *( char | "\" special | "\" hex hex )     char: printable ASCII without , + " \ < > ;
//!         | "#" *( hex hex )                          a value that is not text, as DER
//! ```
//!
//! This is RFC 2253 as `X509_NAME_print_ex` with `XN_FLAG_RFC2253` writes it. The text is UTF-8, whatever encoding the certificate has.
//! Control characters and the bytes of characters that are not ASCII are written as `\` and two digits. `=` is not escaped. A type
//! without a short name is written as its number. Observed with Envoy 1.40.0: `CN=client-a,OU=b,OU=a`, `CN=a\,O=team-b`, `O=m\C3\BCnchen`,
//! `O=a\0AO=b`, `CN=y,OU=b+O=Acme+CN=z`, `1.2.3.4.5=#0C0B75…`.

use super::Error;
use crate::text;

/// A field of the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `O`
    Organization,
    /// `OU`
    OrganizationalUnit,
    /// `CN`
    CommonName,
}

impl Field {
    /// The field's type as it stands in a subject.
    pub fn short_name(self) -> &'static str {
        match self {
            Field::Organization => "O",
            Field::OrganizationalUnit => "OU",
            Field::CommonName => "CN",
        }
    }
}

/// The value of the field. A field that is absent, or that has several values, is an error.
pub fn value(subject: &[u8], field: Field) -> Result<Vec<u8>, Error> {
    const UNREADABLE: Error = Error::Unclear("the client certificate's subject can't be read");
    if subject.is_empty() {
        return Err(Error::Absent("there is no client certificate, or its subject is empty"));
    }
    let mut found = None;
    let mut rest = Some(subject);
    while let Some(pair) = rest {
        let end_of_type = pair.iter().position(|&byte| is_special(byte)).filter(|&at| at > 0);
        let (kind, value) = end_of_type.and_then(|at| pair.split_at_checked(at)).ok_or(UNREADABLE)?;
        let value = value.strip_prefix(b"=").ok_or(UNREADABLE)?;
        let (text, next) = read(value).ok_or(UNREADABLE)?;
        rest = next;
        if kind != field.short_name().as_bytes() {
            continue;
        }
        if value.first() == Some(&b'#') {
            return Err(Error::Unclear("the client certificate's field that names the tenant is no text"));
        }
        if found.replace(text).is_some() {
            return Err(Error::Unclear("the client certificate's field that names the tenant has several values"));
        }
    }
    found.ok_or(Error::Absent("the client certificate lacks the field that names it"))
}

/// Whether a byte can occur in a value only after a `\`. Such a byte also ends a type.
fn is_special(byte: u8) -> bool {
    !(b' '..=b'~').contains(&byte) || b",+\"\\<>;=".contains(&byte)
}

/// Decodes the value at the beginning of `input`. Returns it with what follows the `,` or `+` after it, if there is one.
fn read(input: &[u8]) -> Option<(Vec<u8>, Option<&[u8]>)> {
    let mut value = Vec::new();
    let mut bytes = input.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b',' | b'+' => return Some((value, Some(bytes.as_slice()))),
            b'\\' => {
                let &escaped = bytes.next()?;
                match text::hex(escaped) {
                    Some(high) => value.push(high << 4 | text::hex(*bytes.next()?)?),
                    None if escaped.is_ascii_punctuation() || escaped == b' ' => value.push(escaped),
                    None => return None,
                }
            }
            b'=' => value.push(byte),
            _ if is_special(byte) => return None,
            _ => value.push(byte),
        }
    }
    Some((value, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const ALL: [Field; 3] = [Field::Organization, Field::OrganizationalUnit, Field::CommonName];

    fn organization(subject: &str) -> Result<String, Error> {
        value(subject.as_bytes(), Field::Organization).map(|value| String::from_utf8(value).expect("UTF-8"))
    }

    fn of(text: &str) -> Result<String, Error> {
        Ok(text.to_owned())
    }

    #[test]
    fn each_field_is_found_wherever_it_stands() {
        let subject = b"CN=client,OU=team-a,O=Acme";
        assert_eq!(ALL.map(|field| value(subject, field).unwrap()), [&b"Acme"[..], b"team-a", b"client"]);
        assert_eq!(organization("O=Acme"), of("Acme"));
        assert_eq!(organization("CN=y,OU=team-a+O=Acme+CN=z"), of("Acme"));
        assert_eq!(organization("CN=x,1.2.3.4.5=#0C0B756E,UID=u,DC=dc,emailAddress=a@b,O=a b  c"), of("a b  c"));
        assert_eq!(organization("O="), of(""));
        assert_eq!(organization("O=a=b,CN=x"), of("a=b"));
    }

    /// Envoy 1.40.0 printed these subjects, of certificates that were made for this test.
    #[test]
    fn escapes_are_undone_and_do_not_end_a_value() {
        assert_eq!(value(br"CN=a\,O=team-b", Field::CommonName), Ok(b"a,O=team-b".to_vec()));
        assert!(matches!(organization(r"CN=a\,O=team-b"), Err(Error::Absent(_))));
        assert_eq!(organization(r"CN=x,O=a\\\,O=team-b"), of(r"a\,O=team-b"));
        assert_eq!(organization(r#"CN=\#h,O=\ #lead\;\<\>\+=\"q\" \\\ "#), of(r#" #lead;<>+="q" \ "#));
        assert_eq!(organization(r"CN=nul\00x,O=a\0AO=b\0D\09\7F"), of("a\nO=b\r\t\u{7f}"));
        assert_eq!(organization(r"CN=x,O=m\C3\BCnchen \E6\97\A5\E6\9C\AC"), of("münchen 日本"));
        assert_eq!(organization(r"O=a\2CO\3Db"), of("a,O=b"));
        assert_eq!(value(br"O=\ff", Field::Organization), Ok(b"\xff".to_vec()));
    }

    #[test]
    fn one_value_is_wanted_and_no_other() {
        for subject in ["CN=x,O=b,O=a", "O=a,O=a", "O=a+O=b", "O=a,O=", "O=a,CN=x,O=b"] {
            assert!(matches!(organization(subject), Err(Error::Unclear(_))), "{subject}");
        }
        for subject in ["", "CN=x", "OU=a,CN=O", "o=a", "O.1=a", "1.2.3.O=a"] {
            assert!(matches!(organization(subject), Err(Error::Absent(_))), "{subject}");
        }
    }

    #[test]
    fn what_envoy_would_not_print_is_refused() {
        for subject in [
            "O",
            "=a",
            "O=a,",
            "O=a+",
            ",O=a",
            "O=a,,CN=b",
            "O=a\\",
            "O=a\\4",
            "O=a\\g",
            "O=a\\4g",
            "O=\"a,CN=b\"",
            "O=a;CN=b",
            "O=<a>",
            "O=a\nCN=b",
            "O=ä",
            "O=a\u{7f}",
            "O=#0C01",
            "O=#",
            "A\\,B=a,O=b",
            "Ä=a,O=b",
        ] {
            assert!(matches!(organization(subject), Err(Error::Unclear(_))), "{subject:?}");
        }
        assert_eq!(organization(r"O=\#0C01"), of("#0C01"));
    }
}
