//! Git: objects in process, the git binary for work trees and the network.
