// For the tests of HTTPS: a certificate authority that lives as long as a test, and what it signs.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

namespace shoal::net {

template <auto Free>
struct FreeWith {
  template <typename Thing>
  void operator()(Thing* thing) const {
    Free(thing);
  }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, FreeWith<X509_free>>;
using TlsContextPtr = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;

inline constexpr long kDaySeconds = 86'400;

struct CertificateOptions {
  std::string names = "DNS:localhost,IP:127.0.0.1";  // what it is good for
  long valid_from_days = -1;
  long valid_to_days = 1;
};

class TestAuthority {
 public:
  TestAuthority() : key_(make_key()), certificate_(make_certificate("Test Authority", *key_, {.names = ""})) {}

  // What SSL_CERT_FILE names.
  void write_certificate(const std::filesystem::path& path) const {
    const std::unique_ptr<std::FILE, FreeWith<std::fclose>> file(std::fopen(path.c_str(), "w"));
    ASSERT_NE(file, nullptr);
    ASSERT_EQ(PEM_write_X509(file.get(), certificate_.get()), 1);
  }

  // For a server: a key, and a certificate that this authority signed.
  [[nodiscard]] TlsContextPtr server_context(const CertificateOptions& options = {}) const {
    const KeyPtr key = make_key();
    const CertificatePtr certificate = make_certificate("Test Server", *key, options);
    TlsContextPtr context(SSL_CTX_new(TLS_server_method()));
    EXPECT_EQ(SSL_CTX_use_certificate(context.get(), certificate.get()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), key.get()), 1);
    return context;
  }

 private:
  static KeyPtr make_key() { return KeyPtr(EVP_EC_gen("P-256")); }

  static void add_extension(X509& certificate, int what, const std::string& value) {
    const std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, what, value.c_str()));
    ASSERT_NE(extension, nullptr) << value;
    X509_add_ext(&certificate, extension.get(), -1);
  }

  // With no names: the authority's own.
  [[nodiscard]] CertificatePtr make_certificate(const std::string& subject, EVP_PKEY& key,
                                                const CertificateOptions& options) const {
    CertificatePtr certificate(X509_new());
    const bool is_authority = options.names.empty();
    X509_set_version(certificate.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), is_authority ? 1 : 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), options.valid_from_days * kDaySeconds);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), options.valid_to_days * kDaySeconds);
    X509_set_pubkey(certificate.get(), &key);
    X509_NAME* name = X509_get_subject_name(certificate.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(subject.c_str()), -1,
                               -1, 0);
    X509_set_issuer_name(certificate.get(), is_authority ? name : X509_get_subject_name(certificate_.get()));
    if (is_authority) {
      add_extension(*certificate, NID_basic_constraints, "critical,CA:TRUE");
    } else {
      add_extension(*certificate, NID_subject_alt_name, options.names);
    }
    EXPECT_GT(X509_sign(certificate.get(), is_authority ? &key : key_.get(), EVP_sha256()), 0);
    return certificate;
  }

  KeyPtr key_;
  CertificatePtr certificate_;
};

}  // namespace shoal::net
