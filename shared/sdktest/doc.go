// Package sdktest holds the tests that use the gateway as its users do: the
// real programs, run as processes, called through the SDKs that people use, in
// front of an upstream that speaks the providers' protocols.
package sdktest
