// Removes from the compiled filter what no host ever calls, and what only that needed: node shrink.mjs BINARYEN LOCK_FILE INPUT OUTPUT.
//
// The compiler can't know it. It keeps all that the proxy-wasm SDK exports, for every kind of filter, and every method of the SDK's traits,
// because a trait object's table of methods names all of them. Envoy compiles the whole module before it listens, so each is start-up time.
//
// 1. Exports: `called` are kept, `leftOut` are removed. An export that is in neither list, or a missing one, is an error.
// 2. The SDK's wrappers of host functions, which are provided methods of its traits (`get_property` of `Context`, for example): where the
//    filter calls none directly, the body becomes a trap. What is only in a table of methods is called by the SDK's dispatcher or not
//    at all, and the dispatcher calls callbacks only.
// 3. What nothing reaches any more is removed, functions of the same code become one, and binaryen optimises what is left.
//
// binaryen is deterministic: the same module and version give the same bytes.

import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

// The SDK whose dispatcher was read. src/dispatcher.rs calls these methods of a context, and no others: `on_*`, `create_*`, `get_type`.
const sdk = "0.2.5";
const callback = /^(on_|create_|get_type$)/;

// What Envoy 1.40.0 calls, or looks for, in an HTTP filter with a timer and call-outs.
const called = [
    "memory",
    "proxy_abi_version_0_2_1",
    "_initialize",
    "proxy_on_memory_allocate",
    "proxy_on_context_create",
    "proxy_on_configure",
    "proxy_on_tick",
    "proxy_on_http_call_response",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_response_body",
    "proxy_on_response_trailers",
    "proxy_on_log",
    "proxy_on_delete",
];

// What the SDK exports besides.
const leftOut = [
    // Envoy calls these where they are there, and takes `true` for the answer where not (proxy-wasm-cpp-host, `ContextBase::onDone` and
    // `onStart` in src/context.cc). The SDK's answer is `true`, unless a context has the method. Each request would cross once more.
    "proxy_on_done",
    "proxy_on_vm_start",
    // For network filters, gRPC calls, shared queues and foreign functions: Envoy never calls these.
    "proxy_on_new_connection",
    "proxy_on_downstream_data",
    "proxy_on_downstream_connection_close",
    "proxy_on_upstream_data",
    "proxy_on_upstream_connection_close",
    "proxy_on_grpc_receive_initial_metadata",
    "proxy_on_grpc_receive",
    "proxy_on_grpc_receive_trailing_metadata",
    "proxy_on_grpc_close",
    "proxy_on_queue_ready",
    "proxy_on_foreign_function",
];

function die(message) {
    console.error(`shrink.mjs: ${message}`);
    process.exit(1);
}

const [library, lockFile, input, output] = process.argv.slice(2);
const locked = readFileSync(lockFile, "utf8").match(/^name = "proxy-wasm"\nversion = "(.*)"$/m)?.[1];
if (locked !== sdk) {
    die(`Cargo.lock has proxy-wasm ${locked}, and ${sdk} was read: see which methods its src/dispatcher.rs calls, then put the version here`);
}

const { default: binaryen } = await import(pathToFileURL(library));
const module = binaryen.readBinary(readFileSync(input));
// What rustc's wasm32-wasip1 may use. The names are for binaryen, which else refuses to read what it finds.
const { MutableGlobals, SignExt, BulkMemory, BulkMemoryOpt, NontrappingFPToInt, Multivalue, ReferenceTypes } = binaryen.Features;
module.setFeatures(MutableGlobals | SignExt | BulkMemory | BulkMemoryOpt | NontrappingFPToInt | Multivalue | ReferenceTypes);

function functions() {
    return Array.from({ length: module.getNumFunctions() }, (_, index) => module.getFunctionByIndex(index));
}

function removeExports() {
    const names = Array.from({ length: module.getNumExports() }, (_, index) => binaryen.getExportInfo(module.getExportByIndex(index)).name);
    const unexpected = names.filter((name) => !called.includes(name) && !leftOut.includes(name));
    if (unexpected.length > 0) die(`the module exports ${unexpected.join(", ")}: does Envoy call that? Put it into one of the two lists`);
    const missing = called.filter((name) => !names.includes(name));
    if (missing.length > 0) die(`the module does not export ${missing.join(", ")}, which Envoy calls`);
    for (const name of names) if (!called.includes(name)) module.removeExport(name);
}

// The provided method of one of the SDK's traits that a function is, by its mangled name: `6traits7Context12get_property` is in it.
function providedMethod(name) {
    const found = name.match(/6traits(?:7Context|11RootContext|11HttpContext|13StreamContext)(\d+)(.*)/);
    return found?.[2].slice(0, Number(found[1]));
}

function trapWrappers() {
    const directly = new Set(Array.from(module.emitText().matchAll(/\((?:return_)?call \$"?([^\s()"]+)/g), ([, name]) => name));
    let wrappers = 0;
    for (const function_ of functions()) {
        const { name } = binaryen.getFunctionInfo(function_);
        const method = providedMethod(name);
        if (method === undefined || callback.test(method)) continue;
        wrappers += 1;
        if (!directly.has(name)) binaryen.Function.setBody(function_, module.unreachable());
    }
    if (wrappers === 0) die("no method of the SDK's traits was found: does the module still have the names of its functions?");
}

removeExports();
module.runPasses(["remove-unused-module-elements"]);
trapWrappers();

module.runPasses(["remove-unused-module-elements", "duplicate-function-elimination"]);
// A large function that is called once is not put into its caller: that saves bytes, but V8 takes memory for the largest functions
// (without this limit, 13 MiB more in Envoy 1.40.0).
binaryen.setOneCallerInlineMaxSize(100);
binaryen.setOptimizeLevel(2);
binaryen.setShrinkLevel(1);
module.optimize();
// The functions that are called most often come first: their numbers are short, and each call holds one.
module.runPasses(["duplicate-function-elimination", "remove-unused-module-elements", "reorder-functions", "strip", "strip-producers", "strip-target-features"]);
if (!module.validate()) die("the result is not a valid module");
writeFileSync(output, module.emitBinary());
