/** The version of the library, sent in the handshake; a test compares it with package.json. */
export const libraryVersion = '0.1.0'
