/*
 * The annotations of Windows' headers, as nothing: they are notes for the reader, and for tools that read them there.
 */
#ifndef LONGSHORE_SAL_H
#define LONGSHORE_SAL_H

/* ---- how a parameter is used ---- */

#define _In_
#define _In_opt_
#define _In_reads_(count)
#define _In_reads_opt_(count)
#define _In_reads_bytes_(size)
#define _In_reads_bytes_opt_(size)
#define _Out_
#define _Out_opt_
#define _Out_writes_(count)
#define _Out_writes_opt_(count)
#define _Out_writes_bytes_(size)
#define _Out_writes_bytes_opt_(size)
#define _Out_writes_bytes_to_opt_(size, count)
#define _Outptr_
#define _Outptr_opt_
#define _Outptr_result_maybenull_
#define _Inout_
#define _Inout_opt_
#define _Inout_updates_bytes_(size)
#define _Inout_updates_bytes_opt_(size)
#define _Reserved_
#define _Null_
#define _Notnull_
#define _Const_
#define _Frees_ptr_
#define _Frees_ptr_opt_
#define _Points_to_data_
#define __in
#define __in_opt
#define __out
#define __out_opt
#define __inout
#define __inout_opt

/* ---- what is asked and promised ---- */

#define _Use_decl_annotations_
#define _Function_class_(name)
#define _Must_inspect_result_
#define _Check_return_
#define _Ret_maybenull_
#define _Ret_notnull_
#define _Success_(condition)
#define _Post_satisfies_(condition)
#define _Pre_satisfies_(condition)
#define _When_(condition, annotations)
#define _At_(target, annotations)
#define _Field_size_(count)
#define _Field_size_opt_(count)
#define _Field_size_bytes_(size)
#define _Struct_size_bytes_(size)
#define _Return_type_success_(condition)
#define _Analysis_assume_(condition)

/* ---- levels ---- */

#define _IRQL_requires_(level)
#define _IRQL_requires_max_(level)
#define _IRQL_requires_min_(level)
#define _IRQL_requires_same_
#define _IRQL_always_function_max_(level)
#define _IRQL_always_function_min_(level)
#define _IRQL_raises_(level)
#define _IRQL_saves_
#define _IRQL_saves_global_(kind, target)
#define _IRQL_restores_
#define _IRQL_restores_global_(kind, target)
#define _IRQL_uses_cancel_

/* ---- memory and locks ---- */

#define __drv_aliasesMem
#define __drv_allocatesMem(kind)
#define __drv_freesMem(kind)
#define __drv_preferredFunction(function, reason)
#define _Acquires_lock_(lock)
#define _Releases_lock_(lock)
#define _Requires_lock_held_(lock)
#define _Requires_lock_not_held_(lock)

#endif
