// Installs the package as it would be published into an empty project, imports every subpath there
// and type-checks a program that uses them all, as strictly as a user could. It finds errors that
// the repository hides: missing files, types that need a development dependency, exports without a
// target, and a package that grows. The package has no sources and no maps, because its JavaScript
// is readable.
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))
const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
const subpaths = Object.keys(manifest.exports)
  .filter((subpath) => !subpath.endsWith('.json'))
  .map((subpath) => manifest.name + subpath.slice(1))

/** Limit of the tarball. */
const packedBytesMax = 600_000

/** Modules that only an adapter may load; importing the root must not bring them in. */
const forbiddenForRoot = ['net', 'tls', 'fs', 'fs/promises', 'worker_threads', 'child_process']

const directory = await mkdtemp(join(tmpdir(), 'hotspare-packed-'))
try {
  await install()
  await importAll()
  await checkRootGraph()
  await checkTypes()
  console.log(`check-packed: ${subpaths.length} subpaths imported and type-checked`)
} catch (error) {
  console.error(`check-packed: ${error.message}\n${error.stdout ?? ''}`)
  process.exitCode = 1
} finally {
  await rm(directory, { recursive: true, force: true })
}

/** Packs the tree and installs the tarball, with the types of Node that a strict user needs. */
async function install() {
  const packed = await run('npm', ['pack', '--json', '--pack-destination', directory], {
    cwd: root,
  })
  const [{ filename, files, size }] = JSON.parse(packed.stdout.slice(packed.stdout.indexOf('[')))
  for (const needed of [
    'dist/index.js',
    'dist/index.d.ts',
    'docs/guarantees.md',
    'LICENSE',
    'README.md',
  ]) {
    if (!files.some(({ path }) => path === needed)) throw new Error(`the package lacks ${needed}`)
  }
  console.log(`check-packed: ${files.length} files, ${size} bytes packed`)
  if (size > packedBytesMax) {
    throw new Error(`the package has ${size} bytes packed, ${packedBytesMax} are the most`)
  }
  const nodeTypes = await readFile(join(root, 'node_modules/@types/node/package.json'), 'utf8')
  await writeFile(
    join(directory, 'package.json'),
    JSON.stringify({ name: 'packed', private: true, type: 'module' }),
  )
  await run(
    'npm',
    [
      'install',
      '--no-audit',
      '--no-fund',
      '--prefer-offline',
      `./${filename}`,
      `@types/node@${JSON.parse(nodeTypes).version}`,
    ],
    { cwd: directory },
  )
}

async function importAll() {
  const program = subpaths.map(
    (subpath) =>
      `if (Object.keys(await import('${subpath}')).length === 0) throw new Error('${subpath} is empty')`,
  )
  await writeFile(join(directory, 'import.mjs'), program.join('\n'))
  await run(process.execPath, ['import.mjs'], { cwd: directory })
  const required = subpaths.map((subpath) => `require('${subpath}')`).join('\n')
  await writeFile(join(directory, 'require.cjs'), required)
  await run(process.execPath, ['require.cjs'], { cwd: directory })
}

/** Follows the relative imports of the root and names the built-in modules that they reach. */
async function checkRootGraph() {
  const dist = join(directory, 'node_modules', manifest.name, 'dist')
  const waiting = [join(dist, 'index.js')]
  const seen = new Set(waiting)
  for (const file of waiting) {
    const text = await readFile(file, 'utf8')
    for (const [, specifier] of text.matchAll(/(?:from|import|import\()\s*'([^']+)'/g)) {
      const builtin = specifier.replace(/^node:/, '')
      if (forbiddenForRoot.includes(builtin)) {
        throw new Error(
          `importing the root reaches node:${builtin} through ${file.slice(dist.length)}`,
        )
      }
      if (!specifier.startsWith('.')) continue
      const next = join(file, '..', specifier)
      if (!seen.has(next)) {
        seen.add(next)
        waiting.push(next)
      }
    }
  }
}

async function checkTypes() {
  const lines = subpaths.map((subpath, at) => `export * as part${at} from '${subpath}'`)
  await mkdir(join(directory, 'types'))
  await writeFile(join(directory, 'types/all.mts'), `${lines.join('\n')}\n`)
  const options = {
    target: 'es2023',
    module: 'node20',
    lib: ['es2023', 'esnext.disposable'],
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
  }
  await writeFile(
    join(directory, 'types/tsconfig.json'),
    JSON.stringify({ compilerOptions: options, include: ['all.mts'] }),
  )
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  await run(process.execPath, [compiler, '-p', 'types'], { cwd: directory })
}
