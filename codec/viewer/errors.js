"use strict"
// What can be wrong with a file, in the words of the reader in Python; `kind` is the name of its error.

class SdcError extends Error {
  constructor(kind, message) {
    super(message)
    this.name = kind
    this.kind = kind
  }
}

const formatError = (message) => new SdcError("SdcFormatError", message)
const unsupported = (message) => new SdcError("SdcUnsupportedError", message)

const hex = (bytes, separator = "") => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(separator)
