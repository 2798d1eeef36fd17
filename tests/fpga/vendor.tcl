# Vivado's commands, recorded: each call is a line of the file ET_RECORD, and makes the files that it
# would make.  A command that Vivado does not have is an error, as is an input that is not there.
set record [open $env(ET_RECORD) w]
foreach name {
    create_project close_project current_project current_fileset set_property get_property
    get_board_parts update_compile_order update_ip_catalog create_bd_design create_bd_cell
    apply_bd_automation get_bd_intf_pins get_bd_pins connect_bd_intf_net connect_bd_net
    assign_bd_address validate_bd_design save_bd_design get_files make_wrapper add_files launch_runs
    wait_on_run get_runs open_run report_timing_summary report_utilization current_design
    ipx::package_project ipx::current_core ipx::get_bus_interfaces ipx::infer_bus_interfaces
    ipx::associate_bus_interfaces ipx::get_memory_maps ipx::add_memory_map ipx::add_address_block
    ipx::create_xgui_files ipx::update_checksums ipx::check_integrity ipx::save_core
} {
    namespace eval ipx {}
    proc $name {args} [format {vendor %s $args} $name]
}
proc vendor {name arguments} {
    global record work
    puts $record [list $name {*}$arguments]
    flush $record
    switch $name {
        add_files {
            set path [lindex $arguments end]
            if {![file exists $path]} { error "no such file: $path" }
        }
        set_property - get_bd_cells { return [lindex $arguments end] }
        create_bd_cell - get_bd_pins - get_bd_intf_pins - get_files { return [lindex $arguments end] }
        get_board_parts { return $::env(ET_BOARDS) }
        get_property { return 100% }
        make_wrapper { return [made $work edgetrain.gen sources_1 bd system hdl system_wrapper.v] }
        wait_on_run {
            made $work edgetrain.runs impl_1 system_wrapper.bit
            made $work edgetrain.gen sources_1 bd system hw_handoff system.hwh
        }
    }
    return [expr {[string match *get_* $name] ? "" : "$name"}]
}
proc made {args} {
    set path [file join {*}$args]
    file mkdir [file dirname $path]
    close [open $path w]
    return $path
}
