// Command hello stands for the reconciler: small, and builds in a moment.
package main

import "fmt"

func main() { fmt.Println("hello") }
