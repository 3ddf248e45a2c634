// Writes the tables of docs/limits.md: every constant of the sources that limits or sizes
// something, with its value and its doc comment. Run it after changing one; a test compares the
// page with the sources.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Numbers that limit nothing (layouts, codes, modes, format numbers), by the name of the file. */
const layouts = {
  'access.ts': ['lentMode'],
  'ack-queues.ts': ['levelsCount'],
  'channel.ts': ['messageType', 'typeMax', 'overheadBytes'],
  'checkpoint-document.ts': ['checkpointFormatVersion'],
  'connection.ts': ['spoiledByte'],
  'entry.ts': ['entryHeaderBytes', 'entryFormatVersion'],
  'files.ts': ['defaultMode', 'statBlockBytes'],
  'format.ts': ['segmentFormatVersion', 'markBytes', 'fixedBytes', 'markWord'],
  'frame-check.ts': ['macBytes', 'crcBytes', 'checkBytesMax', 'hashBytes', 'blockBytes'],
  'frame-reader.ts': ['headerBytes', 'goodbye'],
  'handshake-frames.ts': ['nonceBytes', 'helloBytes', 'challengeBytes', 'unsupportedBytes'],
  'hard-state-log.ts': ['formatVersion', 'slotHeaderBytes'],
  'header.ts': ['headerBytes', 'formatVersion'],
  'index-log.ts': ['blockHeaderBytes', 'indexFormatVersion'],
  'intake.ts': ['copies'],
  'keys.ts': ['keyBytes', 'proofBytes'],
  'limits.ts': ['kib', 'mib'],
  'live-database.ts': ['logMagic', 'magicBytes'],
  'messages.ts': ['numberBytesMax', 'stretchResultBytesMax'],
  'object-files.ts': ['objectMode'],
  'overlay.ts': ['createdMode'],
  'replay-check.ts': ['createdMode'],
  'scan.ts': ['scalarKind', 'sizedKind', 'arrayKind', 'mapKind', 'extensionKind', 'forbiddenKind'],
  'sync-policy.ts': ['fingerprintFormat'],
  'tls.ts': ['bindingBytes'],
  'tree-operations.ts': ['defaultMode'],
  'tree-writer.ts': ['defaultMode'],
  'tree.ts': ['spoiledByte'],
  'types.ts': ['mib'],
  'update-run.ts': ['lengthBytes'],
  'work.ts': ['statNumbers', 'appliedNumbers', 'readNumbers'],
  'zero-runs.ts': ['blockBytes'],
}

/** The parts of the page, each with its folders of `src`. The longest matching folder decides. */
const parts = {
  'Options of a node, and their defaults': ['node/contract'],
  'Policy and paths': ['policy'],
  'Writes and changes': ['changes', 'node/writes', 'replication/write', 'replication/content'],
  'Journal and copy': ['copy', 'cluster-node.ts'],
  'In-sync set and flow control': ['replication/in-sync'],
  'Streams and restores': ['replication'],
  'Roles, terms and status': ['core', 'history', 'node', 'util'],
  'Connections and messages': ['protocol', 'node/peers', 'transport'],
  Storage: ['storage'],
  'Adapters for tests': ['storage/memory', 'transport/memory', 'transport/memory.ts'],
}

/** @typedef {{ name: string, value: number, file: string, text: string }} Constant */

/** The limits and the layouts, in the order of the files, and layouts that no constant has. */
export function limits() {
  const found = numbers()
  const isLayout = ({ file, name }) => (layouts[basename(file)] ?? []).includes(name)
  const stale = Object.entries(layouts).flatMap(([file, names]) =>
    names.filter((name) => !found.some((one) => basename(one.file) === file && one.name === name)),
  )
  return { limits: found.filter((one) => !isLayout(one)), layouts: found.filter(isLayout), stale }
}

/** The tables as they should be. */
export function limitsTables() {
  const rows = new Map(Object.keys(parts).map((part) => [part, []]))
  for (const { name, value, file, text } of limits().limits) {
    if (text === '') throw new Error(`${name} in src/${file} has no doc comment`)
    rows.get(partOf(file)).push(`| \`${name}\` | ${shown(name, value)} | ${text} | ${file} |`)
  }
  return [...rows]
    .map(([part, lines]) => [`## ${part}`, '', head, ...lines].join('\n'))
    .join('\n\n')
}

const head =
  '| name | value | what it bounds, and what happens beyond it | in src/ |\n| --- | --- | --- | --- |'

function partOf(file) {
  const own = Object.entries(parts).flatMap(([part, folders]) =>
    folders
      .filter((folder) => `${file}/`.startsWith(`${folder}/`))
      .map((folder) => ({ part, folder })),
  )
  if (own.length === 0) throw new Error(`src/${file} is in no part of docs/limits.md`)
  return own.sort((a, b) => b.folder.length - a.folder.length)[0].part
}

/** The value with its unit, by the last word of the name that is one. */
function shown(name, value) {
  const words = name.split(/_|(?=[A-Z][a-z])/).map((word) => word.toLowerCase())
  const has = (...units) => words.some((word) => units.includes(word))
  if (has('second') && has('bytes')) return `${bytes(value)}/s`
  if (has('ms', 'grace', 'patience')) return `${grouped(value)} ms`
  if (has('bytes') || bytesByAnotherName.has(name)) return bytes(value)
  if (has('seconds')) return `${value} s`
  if (has('share') && value < 1) return share(value)
  if (has('factor', 'times') && !/tries|Retry/.test(name)) return `${grouped(value)} ×`
  if (has('length') && !has('row')) return `${grouped(value)} characters`
  if (has('depth')) return `${grouped(value)} levels`
  return grouped(value)
}

const bytesByAnotherName = new Set(['changeWork', 'overdueWork', 'inlineTotalMax'])

function bytes(value) {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  let at = 0
  let left = value
  while (left >= 1024 && left % 512 === 0 && at < units.length - 1) {
    left /= 1024
    at += 1
  }
  return `${grouped(left)} ${units[at]}`
}

function share(value) {
  const parts = Math.round(1 / value)
  return Math.abs(parts * value - 1) < 1e-9 ? `1/${parts}` : `${value}`
}

function grouped(value) {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ' ')
}

/** Every constant with a number outside of the test kits, in the order of the files. */
function numbers() {
  const files = readdirSync(join(root, 'src'), { recursive: true })
    .map((path) => String(path).replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.ts') && !path.startsWith('testing/'))
    .sort()
  const sources = new Map(files.map((file) => [file, parsed(file)]))
  return files.flatMap((file) => [...constantsOf(sources, file)])
}

function parsed(file) {
  const text = readFileSync(join(root, 'src', file), 'utf8')
  return ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
}

function* constantsOf(sources, file) {
  const source = sources.get(file)
  for (const statement of source.statements) {
    if (!ts.isVariableStatement(statement)) continue
    for (const { name, initializer } of statement.declarationList.declarations) {
      if (initializer === undefined || !ts.isIdentifier(name)) continue
      const unwrapped = ts.isAsExpression(initializer) ? initializer.expression : initializer
      if (ts.isObjectLiteralExpression(unwrapped)) {
        yield* limitsOf(sources, file, name.text, unwrapped)
        continue
      }
      const value = evaluated(sources, file, initializer)
      if (value !== undefined) yield { name: name.text, value, file, text: docOf(statement) }
    }
  }
}

/** The numbers in an object of limits or defaults, with the doc comments of its interface. */
function* limitsOf(sources, file, objectName, object) {
  if (!/(Limits|Defaults)$/.test(objectName)) return
  for (const property of object.properties) {
    const name = property.name.text
    const value = evaluated(sources, file, property.initializer ?? property.name)
    if (value !== undefined) yield { name, value, file, text: memberDoc(sources.get(file), name) }
  }
}

function memberDoc(source, name) {
  for (const statement of source.statements) {
    if (!ts.isInterfaceDeclaration(statement)) continue
    const member = statement.members.find((one) => one.name?.getText() === name)
    if (member !== undefined) return docOf(member)
  }
  return ''
}

/** The value of a constant expression of numbers; undefined for any other expression. */
function evaluated(sources, file, node) {
  const value = (part) => evaluated(sources, file, part)
  if (ts.isNumericLiteral(node)) return Number(node.text)
  if (ts.isParenthesizedExpression(node)) return value(node.expression)
  if (ts.isIdentifier(node)) return namedValue(sources, file, node.text)
  if (!ts.isBinaryExpression(node)) return undefined
  const [left, right] = [value(node.left), value(node.right)]
  if (left === undefined || right === undefined) return undefined
  switch (node.operatorToken.kind) {
    case ts.SyntaxKind.PlusToken:
      return left + right
    case ts.SyntaxKind.MinusToken:
      return left - right
    case ts.SyntaxKind.AsteriskToken:
      return left * right
    case ts.SyntaxKind.SlashToken:
      return left / right
    case ts.SyntaxKind.AsteriskAsteriskToken:
      return left ** right
    default:
      return undefined
  }
}

/** The value of a constant of this file, or of one that it imports. */
function namedValue(sources, file, name) {
  for (const statement of sources.get(file).statements) {
    if (ts.isVariableStatement(statement)) {
      const found = statement.declarationList.declarations.find((one) => one.name.text === name)
      if (found?.initializer !== undefined) return evaluated(sources, file, found.initializer)
    }
    if (!ts.isImportDeclaration(statement)) continue
    const names = statement.importClause?.namedBindings
    if (names === undefined || !ts.isNamedImports(names)) continue
    if (!names.elements.some((one) => one.name.text === name)) continue
    const target = join(file, '..', statement.moduleSpecifier.text).replace(/\.js$/, '.ts')
    return sources.has(target) ? namedValue(sources, target, name) : undefined
  }
  return undefined
}

function docOf(node) {
  const comment = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc).at(-1)?.comment
  const text = ts.getTextOfJSDocComment(comment) ?? ''
  return text
    .replace(/\{@link (\w+)\}/g, '`$1`')
    .replace(/\s+/g, ' ')
    .trim()
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const page = join(root, 'docs/limits.md')
  const text = readFileSync(page, 'utf8')
  const [before, , after] = text.split(/(?<=<!-- limits -->\n)|(?=<!-- end of limits -->)/)
  writeFileSync(page, `${before}${limitsTables()}\n${after}`)
}
