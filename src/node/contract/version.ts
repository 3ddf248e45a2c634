/**
 * The version of the library, told to peers in the handshake; a test holds it against package.json.
 */
export const libraryVersion = '0.1.0'
