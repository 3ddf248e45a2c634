/**
 * The paths of everything below the root. Only this file builds paths of the storage's own files.
 */

import { resolve } from 'node:path'
import { HotspareError } from '../../../errors.js'
import type { ObjectArea } from '../../../interfaces/object-store.js'
import {
  checkDocumentName,
  checkLogArea,
  checkObjectName,
  reservedNames,
  stateFolder,
} from '../../names.js'

/** The areas of objects, each a folder of its own. */
export const objectAreas: readonly ObjectArea[] = ['blobs', 'staging', 'incoming', 'vault']

/** The paths of one storage. */
export class Layout {
  /** The application's folder, absolute. */
  readonly root: string
  /** The storage's own folder inside it. */
  readonly state: string
  /**
   * Temporary files; emptied at every open. On the same file system as everything else, because
   * they are renamed into place.
   */
  readonly temporary: string
  readonly lock: string
  readonly format: string
  /** The path of `format` in capitals, which exists where the file system ignores case. */
  readonly formatOtherwise: string
  /** The file that reserves space for removals. */
  readonly room: string
  readonly #prefix: string
  #counter = 0

  /**
   * @param root - the application's folder
   * @param user - a word that makes the temporary names of each thread distinct
   */
  constructor(root: string, user: string) {
    this.root = resolve(root)
    this.state = `${this.root}/${stateFolder}`
    this.temporary = `${this.state}/tmp`
    this.lock = `${this.state}/lock`
    this.format = `${this.state}/format`
    this.room = `${this.state}/room`
    this.formatOtherwise = `${this.state}/FORMAT`
    this.#prefix = user
  }

  /**
   * A path for a new temporary file or folder, never returned twice. Its name begins with `kind`.
   */
  newTemporary(kind: string = ''): string {
    this.#counter += 1
    return `${this.temporary}/${kind}${this.#prefix}-${this.#counter}`
  }

  /** The path of a file of the tree. The caller checked the path. */
  treePath(path: string): string {
    return `${this.root}/${path}`
  }

  /** @throws `PATH_INVALID` */
  documentPath(name: string): string {
    checkDocumentName(name)
    return `${this.state}/${name}`
  }

  /** @throws `PATH_INVALID` */
  logFolder(area: string): string {
    checkLogArea(area)
    return `${this.state}/${area}`
  }

  /** @throws `PATH_INVALID` */
  objectFolder(area: ObjectArea): string {
    if (objectAreas.includes(area)) return `${this.state}/${area}`
    throw new HotspareError('PATH_INVALID', `${JSON.stringify(area)} is not an area of objects`)
  }

  /** The path of an incoming file or folder, '' for all of them. The caller checked the path. */
  incoming(path: string): string {
    return path === '' ? `${this.state}/incoming` : `${this.state}/incoming/${path}`
  }

  /** @throws `PATH_INVALID` */
  objectPath(area: ObjectArea, name: string): string {
    checkObjectName(area, name)
    return `${this.objectFolder(area)}/${name}`
  }

  /** Whether an entry of the state folder can hold documents. */
  holdsDocuments(entry: string): boolean {
    return !reservedNames.has(entry)
  }
}
