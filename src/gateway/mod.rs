//! The gateway: a loopback model proxy.
