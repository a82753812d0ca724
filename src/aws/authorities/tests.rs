use super::*;

/// Amazon Root CA 3, an authority of AWS's endpoints.
const AMAZON: &str = include_str!("amazon_root_ca_3.pem");

/// In PEM format, but no certificate that rustls could read.
const UNKNOWN: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

fn chosen(environment: &[(&str, &str)]) -> Authorities {
    let of =
        |name: &str| environment.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
    Authorities::from_lookup(of)
}

#[test]
fn the_bundle_of_the_aws_cli_wins_over_what_the_tls_library_finds() {
    let (bundle, found) = (|path: &str| Authorities::Bundle(path.to_owned()), |path: &str| Some(path.to_owned()));
    assert_eq!(chosen(&[]), Authorities::Found(None));
    assert_eq!(chosen(&[("SSL_CERT_FILE", "/o.pem")]), Authorities::Found(found("/o.pem")));
    assert_eq!(chosen(&[("AWS_CA_BUNDLE", "/a.pem")]), bundle("/a.pem"));
    let all = [("SSL_CERT_DIR", "/certs"), ("SSL_CERT_FILE", "/o.pem"), ("AWS_CA_BUNDLE", "/a.pem")];
    assert_eq!(chosen(&all), bundle("/a.pem"));
    let same = [("AWS_CA_BUNDLE", "/a.pem"), ("SSL_CERT_FILE", "/a.pem"), ("SSL_CERT_DIR", "/certs")];
    assert_eq!(chosen(&same[..2]), Authorities::Found(found("/a.pem")));
    assert_eq!(chosen(&same), bundle("/a.pem"));
    assert_eq!(chosen(&all[..2]), Authorities::Found(found("/o.pem")));
    assert_eq!(chosen(&all[..1]), Authorities::Found(None));
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let empty = [("AWS_CA_BUNDLE", ""), ("SSL_CERT_FILE", "")];
    assert_eq!(chosen(&empty), Authorities::Found(None));
    assert_eq!(chosen(&[empty[0], ("SSL_CERT_FILE", "/o.pem")]), Authorities::Found(Some("/o.pem".to_owned())));
}

#[test]
fn a_file_that_is_not_there_is_refused_in_one_line_that_names_variable_and_path() {
    let path = "/there/is/no\nsuch.pem".to_owned();
    for (authorities, variable) in
        [(Authorities::Bundle(path.clone()), "AWS_CA_BUNDLE"), (Authorities::Found(Some(path)), "SSL_CERT_FILE")]
    {
        let refusal = authorities.trust_store().expect_err("it is not there").to_string();
        assert!(refusal.starts_with(&format!(r#"{variable}="/there/is/no\nsuch.pem": No such file"#)), "{refusal}");
        assert!(refusal.ends_with("accepted: the path of a file with certificates in PEM format"), "{refusal}");
        assert_eq!(refusal.lines().count(), 1);
    }
}

#[test]
fn what_has_no_usable_certificate_or_is_damaged_is_refused() {
    for (content, why) in [
        ("", "no usable certificate"),
        ("{\"not\": \"a bundle\"}", "no usable certificate"),
        (UNKNOWN, "no usable certificate"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "damaged"),
        // A file that was cut may have lost the one that is needed.
        (&format!("{AMAZON}{}", &AMAZON[..100]), "2 certificates begin, 1 end"),
    ] {
        let refusal = usable(content).expect_err(content);
        assert!(refusal.contains(why), "{refusal}");
        // What does not look at the content finds no more than whether there are certificates, with an end.
        assert_eq!(complete(content).is_err(), content.matches(BEGIN).count() != 1, "{content}");
    }
}

#[test]
fn a_certificate_that_rustls_cannot_read_is_skipped_and_so_is_text_between() {
    for content in [AMAZON.to_owned(), format!("{UNKNOWN}# Amazon\n{AMAZON}"), format!("{AMAZON}{UNKNOWN}the end\n")] {
        usable(&content).expect("one is usable");
    }
}
