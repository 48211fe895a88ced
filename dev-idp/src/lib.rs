//! A development identity provider.
