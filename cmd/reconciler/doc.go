// Command reconciler keeps on-premise AI infrastructure true to a signed Git
// repository.
//
// This package holds flags, wiring and signals. One file per subcommand; what a
// command does is in the packages below internal.
package main
