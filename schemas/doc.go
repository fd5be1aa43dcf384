// Package schemas embeds the CUE module prumo.dev/schemas: the kinds that are
// built in, one source of truth for the engine and for authors.
package schemas
