# One static library for each folder of src/. A new source file is picked up by itself.
#   shoal_module(NAME deps...)   src/NAME/*.cpp -> library shoal_NAME
function(shoal_module name)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  list(TRANSFORM ARGN REPLACE "^([a-z_]+)$" "shoal_\\1" OUTPUT_VARIABLE libraries)
  if(sources)
    add_library(shoal_${name} STATIC ${sources})
    target_link_libraries(shoal_${name} PUBLIC shoal_options ${libraries})
  else()
    add_library(shoal_${name} INTERFACE)
    target_link_libraries(shoal_${name} INTERFACE shoal_options ${libraries})
  endif()
endfunction()
