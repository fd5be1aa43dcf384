// Package examples embeds the infra repo that the demo tells its story with.
package examples
